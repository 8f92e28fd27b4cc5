package probe

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A plot has the numbers of connections side by side, and a value of each above.
type plot struct {
	Title, Unit string
	Ticks       []tick // of the values
	Columns     []tick // of the connections
	Curves      []curve
	Dots        []point // single slices
	Words       string  // all of it, for whoever does not see it
}

type tick struct {
	At   float64
	Text string
}

type point struct{ X, Y float64 }

type curve struct {
	Name, Class string
	Points      []point
	End         point // where its name stands
}

// Path is the curve for SVG.
func (c curve) Path() string {
	var b strings.Builder
	for i, p := range c.Points {
		fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(i, 1)], p.X, p.Y)
	}
	return b.String()
}

// Of the drawing, in SVG's units: the page's template has the same.
const (
	left, right = 56., 424.
	top, bottom = 16., 176.
)

// Classes of the page's style.
const blue, amber = "first", "second"

func plots(r Report) []plot {
	var rows []Row
	for _, row := range r.Rows {
		if len(row.Rates) > 0 {
			rows = append(rows, row)
		}
	}
	inMs := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	rates := draw("RPC/s", "", rows, true, value{"", blue, Row.Rate})
	latencies := draw("Latency", "ms", rows, false,
		value{"p50", blue, func(r Row) float64 { return inMs(r.P50) }},
		value{"p99", amber, func(r Row) float64 { return inMs(r.P99) }})
	cpu := draw("CPU of the client", "%", rows, false, value{"", blue, func(r Row) float64 { return 100 * r.CPU }})
	return []plot{rates, latencies, cpu}
}

// A value is what a curve shows of each row.
type value struct {
	name, class string
	of          func(Row) float64
}

func draw(title, unit string, rows []Row, dots bool, values ...value) plot {
	p := plot{Title: title, Unit: unit}
	largest := 0.
	for _, row := range rows {
		for _, v := range values {
			largest = max(largest, v.of(row))
		}
		if dots {
			largest = max(largest, quantile(row.Rates, 1))
		}
	}
	step := stepFor(largest)
	highest := max(step, math.Ceil(largest/step)*step)
	y := func(value float64) float64 { return bottom - (bottom-top)*value/highest }
	x := func(i int) float64 { return left + (right-left)*(float64(i)+0.5)/float64(len(rows)) }
	for n := 0.; n <= highest; n += step {
		p.Ticks = append(p.Ticks, tick{y(n), number(n)})
	}
	for i, row := range rows {
		p.Columns = append(p.Columns, tick{x(i), row.connections()})
		if dots {
			for j, rate := range row.Rates {
				aside := 10 * (float64(j+1)/float64(len(row.Rates)+1) - 0.5) // in order of time
				p.Dots = append(p.Dots, point{x(i) + aside, y(rate)})
			}
		}
	}
	for _, v := range values {
		c := curve{Name: v.name, Class: v.class}
		var words []string
		for i, row := range rows {
			c.Points = append(c.Points, point{x(i), y(v.of(row))})
			words = append(words, fmt.Sprintf("%s: %s", row.connections(), number(v.of(row))))
		}
		if n := len(c.Points); n > 0 {
			c.End = point{c.Points[n-1].X + 8, c.Points[n-1].Y + 4}
		}
		p.Words += fmt.Sprintf("%s %s %s by connections: %s. ", title, v.name, unit, strings.Join(words, ", "))
		p.Curves = append(p.Curves, c)
	}
	return p
}

// stepFor divides what is shown into at most five round steps.
func stepFor(largest float64) float64 {
	if largest <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(largest/5)))
	for _, factor := range []float64{1, 2, 5} {
		if power*factor*5 >= largest {
			return power * factor
		}
	}
	return power * 10
}

// number has two digits, at least.
func number(n float64) string {
	if n != 0 && n < 10 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", n), ".0")
	}
	return fmt.Sprintf("%.0f", n)
}
