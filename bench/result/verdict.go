package result

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// A Verdict is what came of a claim.
type Verdict struct {
	Claim  string
	Target string
	Value  Stat
	Unit   string
	Status Status
}

// A Status is how a claim fared.
type Status string

// Statuses. A claim that is missed is told as such.
const (
	Met    Status = "met"
	Missed Status = "MISSED"
	NotRun Status = "not run"
)

// AtLeast claims that the median is at least bound.
func AtLeast(claim string, v Stat, bound float64, unit string) Verdict {
	return verdict(claim, "at least "+number(bound)+unit, v, unit, v.Median >= bound)
}

// AtMost claims that the median is at most bound.
func AtMost(claim string, v Stat, bound float64, unit string) Verdict {
	return verdict(claim, "at most "+number(bound)+unit, v, unit, v.Median <= bound)
}

// NotBehind claims that a ratio, where more is better, is not below 1 beyond its spread.
func NotBehind(claim string, ratio Stat) Verdict {
	return verdict(claim, "1 × within the spread", ratio, " ×", ratio.High >= 1)
}

// Told claims nothing: it is there to compare other figures with.
func Told(claim string, v Stat, unit string) Verdict {
	return Verdict{Claim: claim, Target: "–", Value: v, Unit: unit}
}

func verdict(claim, target string, v Stat, unit string, met bool) Verdict {
	d := Verdict{Claim: claim, Target: target, Value: v, Unit: unit, Status: Missed}
	switch {
	case v.N == 0:
		d.Status = NotRun
	case met:
		d.Status = Met
	}
	return d
}

// measured is the value as text.
func (v Verdict) measured() string {
	if v.Value.N == 0 {
		return v.Value.String()
	}
	return v.Value.String() + v.Unit
}

// PrintVerdicts prints those of all workloads.
func (r *Result) PrintVerdicts(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, k := range r.Workloads {
		for _, v := range k.Verdicts {
			fmt.Fprintf(table, "(%s)\t%s\t%s\t%s\t%s\n", k.Key, v.Claim, v.Target, v.measured(), v.Status)
		}
	}
	_ = table.Flush()
}
