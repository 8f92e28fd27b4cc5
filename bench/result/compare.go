package result

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Compare prints r beside an older result: what both measured, as ratios against the
// base of each table where there is one, for those depend least on the machine and its
// day, and as values where not. Where the spreads do not meet it says better or worse.
func Compare(w io.Writer, old, r *Result) {
	fmt.Fprintf(w, "old: %s\nnew: %s\n\n", old.Machine, r.Machine)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\t\t\told\tnew\t")
	for _, k := range r.Workloads {
		for _, t := range k.Tables {
			if o := old.table(t.Name); o != nil {
				compareTables(table, o, t)
			}
		}
	}
	_ = table.Flush()
	fmt.Fprintln(w)
	compareVerdicts(w, old, r)
}

func (r *Result) table(name string) *Table {
	for _, k := range r.Workloads {
		for _, t := range k.Tables {
			if t.Name == name {
				return t
			}
		}
	}
	return nil
}

func compareTables(w io.Writer, old, t *Table) {
	for _, m := range t.Metrics {
		for _, row := range t.Rows {
			for _, column := range t.Columns {
				a, unit := old.comparable(row, column, m)
				b, _ := t.comparable(row, column, m)
				if m.Note || a.N == 0 || b.N == 0 {
					continue
				}
				fmt.Fprintf(w, "%s\t%s %s, %s\t%s%s\t%v\t%v\t%s\n", t.Name, t.RowName, row, column, m.Name, unit, a, b, judge(a, b, m.Lower))
			}
		}
	}
}

// comparable is a column against the base, or what it measured if it is the base.
func (t *Table) comparable(row, column string, m Metric) (Stat, string) {
	if t.Base != "" && column != t.Base {
		return t.Ratio(row, column, t.Base, m.Name), " ÷ " + t.Base
	}
	return StatOf(t.Values(row, column, m.Name)), ", " + m.Unit
}

func judge(old, now Stat, lower bool) string {
	switch {
	case !old.apart(now):
		return ""
	case (now.Median < old.Median) == lower:
		return "better"
	}
	return "worse"
}

func compareVerdicts(w io.Writer, old, r *Result) {
	before := make(map[string]Verdict)
	for _, k := range old.Workloads {
		for _, v := range k.Verdicts {
			before[k.Key+v.Claim] = v
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, k := range r.Workloads {
		for _, v := range k.Verdicts {
			if o, ok := before[k.Key+v.Claim]; ok {
				fmt.Fprintf(table, "(%s)\t%s\t%s\t%s\t%s\t→ %s\t%s\n", k.Key, v.Claim, v.Target, o.measured(), o.Status, v.measured(), v.Status)
			}
		}
	}
	_ = table.Flush()
}

// String is like "2 CPUs, linux/amd64, go1.26.8, grpc v1.85.0".
func (m Machine) String() string {
	cpus := fmt.Sprintf("%d CPUs", m.CPUs)
	return strings.Join(append([]string{cpus, m.Platform, m.Go}, m.Versions...), ", ")
}
