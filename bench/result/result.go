// Package result is what a run of the benchmark measured: as numbers, tables, plots and
// verdicts, and two of them side by side.
package result

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A Result is one run.
type Result struct {
	Machine   Machine
	Quick     bool // too short for its figures to mean anything
	Seconds   float64
	Workloads []Workload
}

// A Machine is what a run depends on.
type Machine struct {
	CPUs     int
	Platform string
	Go       string
	Versions []string // of the modules that were measured
}

// A Workload is one kind of work, and what came of it.
type Workload struct {
	Key      string // a letter
	Title    string
	About    string // what was done
	Seconds  float64
	Tables   []*Table
	Verdicts []Verdict
}

// A Table has a value for each slice in which a column, mostly a contender, was measured
// in a row, some setting of the workload.
type Table struct {
	Name    string // unique in a run
	RowName string
	Rows    []string
	Columns []string
	Base    string // the column that the ratios of all columns are against; "" is none
	Metrics []Metric
	Cells   map[string]map[string]map[string][]float64 // by row, column and metric
	Plots   []Plot
}

// A Metric is something that is measured.
type Metric struct {
	Name  string
	Unit  string
	Lower bool // is better
	Note  bool // told beside, and never compared
}

// A Plot is a picture of a metric.
type Plot struct {
	Metric string
	Title  string
	Lines  bool // over the rows, which are numbers; else bars
	Log    bool // the rows are far apart
}

// Add notes what was measured in a slice.
func (t *Table) Add(row, column string, values map[string]float64) {
	if t.Cells == nil {
		t.Cells = make(map[string]map[string]map[string][]float64)
	}
	if !slices.Contains(t.Rows, row) {
		t.Rows = append(t.Rows, row)
	}
	if !slices.Contains(t.Columns, column) {
		t.Columns = append(t.Columns, column)
	}
	columns := t.Cells[row]
	if columns == nil {
		columns = make(map[string]map[string][]float64)
		t.Cells[row] = columns
	}
	if columns[column] == nil {
		columns[column] = make(map[string][]float64)
	}
	for metric, v := range values {
		columns[column][metric] = append(columns[column][metric], v)
	}
}

// Values are those of one metric, by slice.
func (t *Table) Values(row, column, metric string) []float64 {
	return t.Cells[row][column][metric]
}

// Ratio is of one column to another in the same slices.
func (t *Table) Ratio(row, of, to, metric string) Stat {
	return StatOf(Ratios(t.Values(row, of, metric), t.Values(row, to, metric)))
}

// Sum is that of a column over all slices.
func (t *Table) Sum(row, column, metric string) Stat {
	all := t.Values(row, column, metric)
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	return Stat{sum, sum, sum, len(all)}
}

// Line is a row's first metric in short.
func (t *Table) Line(row string) string {
	m := t.Metrics[0]
	var line strings.Builder
	fmt.Fprintf(&line, "%s, %s %s, %s:", t.Name, t.RowName, row, m.Name)
	for _, c := range t.Columns {
		text := "–"
		if s := StatOf(t.Values(row, c, m.Name)); s.N > 0 {
			text = number(s.Median)
		}
		fmt.Fprintf(&line, "  %s %s", c, text)
	}
	return line.String()
}

// RowRatio is of one row to another in the same slices.
func (t *Table) RowRatio(of, to, column, metric string) Stat {
	return StatOf(Ratios(t.Values(of, column, metric), t.Values(to, column, metric)))
}

// metric returns the one with that name.
func (t *Table) metric(name string) Metric {
	i := slices.IndexFunc(t.Metrics, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		return Metric{Name: name}
	}
	return t.Metrics[i]
}

// Save writes r to a file.
func (r *Result) Save(path string) error {
	js, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(js, '\n'), 0o644)
}

// Load reads what Save wrote.
func Load(path string) (*Result, error) {
	js, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Result)
	if err := json.Unmarshal(js, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}
