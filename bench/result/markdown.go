package result

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Markdown is what a workload did, its tables, verdicts and plots; plots is where those
// are.
func (k *Workload) Markdown(plots string) string {
	var text strings.Builder
	text.WriteString(k.About + "\n\n")
	for _, t := range k.Tables {
		for _, m := range t.Metrics {
			t.markdown(&text, m)
		}
	}
	for _, t := range k.Tables {
		for _, p := range t.Plots {
			fmt.Fprintf(&text, "![%s](%s)\n\n", p.Title, filepath.ToSlash(filepath.Join(plots, t.plotName(p))))
		}
	}
	if len(k.Verdicts) > 0 {
		text.WriteString("| claim | target | measured | |\n|---|---|---|---|\n")
		for _, v := range k.Verdicts {
			fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", v.Claim, v.Target, v.measured(), v.Status)
		}
		text.WriteString("\n")
	}
	return text.String()
}

// markdown is the table of one metric: a line for each row, a column for each contender.
func (t *Table) markdown(text *strings.Builder, m Metric) {
	unit := m.Name
	if m.Unit != "" {
		unit += ", " + m.Unit
	}
	if m.Note && t.never(m.Name) {
		fmt.Fprintf(text, "%s: 0 everywhere.\n\n", unit)
		return
	}
	fmt.Fprintf(text, "%s:\n\n| %s |", unit, t.RowName)
	for _, c := range t.Columns {
		fmt.Fprintf(text, " %s |", c)
	}
	fmt.Fprintf(text, "\n|%s\n", strings.Repeat("---|", len(t.Columns)+1))
	for _, row := range t.Rows {
		fmt.Fprintf(text, "| %s |", row)
		for _, c := range t.Columns {
			fmt.Fprintf(text, " %v |", StatOf(t.Values(row, c, m.Name)))
		}
		text.WriteString("\n")
	}
	text.WriteString("\n")
}

// never reports whether a metric was always 0.
func (t *Table) never(metric string) bool {
	for _, columns := range t.Cells {
		for _, metrics := range columns {
			if slices.ContainsFunc(metrics[metric], func(v float64) bool { return v != 0 }) {
				return false
			}
		}
	}
	return true
}

// Markdown is the whole result as a page of its own.
func (r *Result) Markdown() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n", r.about())
	for _, k := range r.Workloads {
		fmt.Fprintf(&text, "## (%s) %s\n\n%s", k.Key, k.Title, k.Markdown("."))
	}
	return text.String()
}

func (r *Result) about() string {
	about := fmt.Sprintf("%s; %.0f s. Medians, with quartiles.", r.Machine, r.Seconds)
	if r.Quick {
		about += " A quick run: its figures mean nothing."
	}
	return about
}

// regions are the parts of a page that a run fills: one for each workload, by its key,
// and "machine".
var regions = regexp.MustCompile(`(?s)(<!-- measured: (\w+) -->\n).*?(<!-- end -->)`)

// Fill writes r into the regions of a page, and its plots into a folder beside. It is an
// error if the page has no region for a workload of r; regions of which r knows nothing
// stay as they are.
func (r *Result) Fill(page, plots string) error {
	if r.Quick {
		return fmt.Errorf("%s: a quick run has no figures to show", page)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	parts := map[string]string{"machine": r.about() + "\n"}
	for _, k := range r.Workloads {
		parts[k.Key] = k.Markdown(plots)
	}
	filled := regions.ReplaceAllStringFunc(string(text), func(region string) string {
		m := regions.FindStringSubmatch(region)
		part, ok := parts[m[2]]
		delete(parts, m[2])
		if !ok {
			return region
		}
		return m[1] + part + m[3]
	})
	for key := range parts {
		return fmt.Errorf("%s: no region %q", page, key)
	}
	if err := r.SavePlots(filepath.Join(filepath.Dir(page), plots)); err != nil {
		return err
	}
	return os.WriteFile(page, []byte(filled), 0o644)
}
