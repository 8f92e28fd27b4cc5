package result

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Stat is the median of some values, and their spread: the quartiles.
type Stat struct {
	Median, Low, High float64
	N                 int // values; with none the rest means nothing
}

// StatOf sums up values, which stay as they are.
func StatOf(values []float64) Stat {
	if len(values) == 0 {
		return Stat{}
	}
	sorted := slices.Sorted(slices.Values(values))
	return Stat{Median: quantile(sorted, 0.5), Low: quantile(sorted, 0.25), High: quantile(sorted, 0.75), N: len(sorted)}
}

// quantile interpolates between the two values that are nearest to q.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i == len(sorted)-1 {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// Ratios divides what was measured in the same slices: of by to. Slices that only one
// of them has, or with a 0 in to, are left out.
func Ratios(of, to []float64) (ratios []float64) {
	for i := range min(len(of), len(to)) {
		if to[i] != 0 {
			ratios = append(ratios, of[i]/to[i])
		}
	}
	return ratios
}

// apart reports whether the spreads of two Stats have nothing in common.
func (s Stat) apart(o Stat) bool { return s.High < o.Low || o.High < s.Low }

// String is like "1.02 [0.99–1.04]".
func (s Stat) String() string {
	if s.N == 0 {
		return "–"
	}
	median, low, high := number(s.Median), number(s.Low), number(s.High)
	if low == high {
		return median
	}
	return fmt.Sprintf("%s [%s–%s]", median, low, high)
}

// number prints x with three digits, or as many as it has before the point.
func number(x float64) string {
	if x == 0 {
		return "0"
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(x))))
	text := strconv.FormatFloat(x, 'f', min(max(digits, 0), 4), 64)
	if len(text) < 5 || digits > 0 {
		return text
	}
	return thousands(text)
}

// thousands puts commas into a number that is whole.
func thousands(digits string) string {
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	var parts []string
	for len(digits) > 3 && !strings.Contains(digits, ".") {
		parts = append(parts, digits[len(digits)-3:])
		digits = digits[:len(digits)-3]
	}
	for _, p := range slices.Backward(parts) {
		digits += "," + p
	}
	return sign + digits
}
