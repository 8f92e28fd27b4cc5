package result

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// example has one table with two rows; its base is as fast as scale says.
func example(scale float64) *Result {
	t := &Table{
		Name: "speed", RowName: "connections", Base: "plain",
		Metrics: []Metric{{Name: "RPCs", Unit: "a second"}, {Name: "p99", Unit: "ms", Lower: true}, {Name: "failed", Unit: "RPCs", Note: true}},
		Plots:   []Plot{{Metric: "RPCs", Title: "Speed & size", Lines: true, Log: true}, {Metric: "p99", Title: "Patience"}},
	}
	for slice := range 3 {
		day := scale * float64(slice+1) // each slice is slower or faster as a whole
		t.Add("1", "plain", map[string]float64{"RPCs": 100 * day, "p99": 10, "failed": 0})
		t.Add("1", "pool", map[string]float64{"RPCs": 200 * day, "p99": 5, "failed": 0})
		t.Add("16", "plain", map[string]float64{"RPCs": 100 * day, "p99": 10, "failed": 0})
		t.Add("16", "pool", map[string]float64{"RPCs": 1600 * day, "p99": 5, "failed": 0})
	}
	return &Result{
		Machine: Machine{CPUs: 2, Platform: "os/arch", Go: "go1", Versions: []string{"grpc v1"}},
		Seconds: 12,
		Workloads: []Workload{{Key: "a", Title: "Speed", About: "It runs.", Tables: []*Table{t}, Verdicts: []Verdict{
			AtLeast("RPCs against plain", t.Ratio("16", "pool", "plain", "RPCs"), 8, " ×"),
			AtMost("p99", StatOf(t.Values("16", "pool", "p99")), 4, " ms"),
			AtLeast("of absent", t.Ratio("16", "absent", "plain", "RPCs"), 8, " ×"),
		}}},
	}
}

func TestATableHasItsValuesBySlice(t *testing.T) {
	speed := example(1).Workloads[0].Tables[0]
	require.Equal(t, []string{"1", "16"}, speed.Rows)
	require.Equal(t, []string{"plain", "pool"}, speed.Columns)
	require.Equal(t, []float64{100, 200, 300}, speed.Values("1", "plain", "RPCs"))
	require.Equal(t, Stat{16, 16, 16, 3}, speed.Ratio("16", "pool", "plain", "RPCs"))
	require.Equal(t, Stat{8, 8, 8, 3}, speed.RowRatio("16", "1", "pool", "RPCs"))
	require.Equal(t, Stat{600, 600, 600, 3}, speed.Sum("1", "plain", "RPCs"))
	require.Equal(t, "speed, connections 16, RPCs:  plain 200  pool 3200", speed.Line("16"))
}

func TestVerdicts(t *testing.T) {
	at := func(median, high float64) Stat { return Stat{median, 0, high, 3} }
	for _, tt := range []struct {
		name string
		got  Verdict
		want Status
	}{
		{"at least, met to the dot", AtLeast("", at(8, 9), 8, ""), Met},
		{"at least, missed", AtLeast("", at(7.99, 9), 8, ""), Missed},
		{"at most, met to the dot", AtMost("", at(1.1, 9), 1.1, ""), Met},
		{"at most, missed", AtMost("", at(1.11, 9), 1.1, ""), Missed},
		{"at most 0, met", AtMost("", at(0, 0), 0, ""), Met},
		{"behind, but within the spread", NotBehind("", at(0.97, 1)), Met},
		{"behind beyond the spread", NotBehind("", at(0.97, 0.99)), Missed},
		{"nothing measured", AtMost("", Stat{}, 1, ""), NotRun},
	} {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, tt.got.Status) })
	}
}

func TestAMissIsPrintedAsAMiss(t *testing.T) {
	var text bytes.Buffer
	example(1).PrintVerdicts(&text)
	require.Equal(t, `(a)  RPCs against plain  at least 8.00 ×  16.0 ×   met
(a)  p99                 at most 4.00 ms  5.00 ms  MISSED
(a)  of absent           at least 8.00 ×  –        not run
`, text.String())
}

func TestAResultIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result.json")
	require.NoError(t, example(1).Save(path))
	r, err := Load(path)
	require.NoError(t, err)
	require.Equal(t, example(1), r)

	require.NoError(t, os.WriteFile(path, []byte("{"), 0o644))
	_, err = Load(path)
	require.ErrorContains(t, err, path)
}

// A machine that is twice as fast is no improvement: ratios are compared.
func TestCompareTellsWhatChangedBeyondTheSpread(t *testing.T) {
	old, now := example(1), example(2)
	speed := now.Workloads[0].Tables[0]
	for slice := range 3 {
		speed.Cells["16"]["pool"]["RPCs"][slice] /= 2 // half of what it was, by comparison
		speed.Cells["16"]["pool"]["p99"][slice] = 2.5
	}
	now.Workloads[0].Verdicts[0].Status = Missed
	var text bytes.Buffer
	Compare(&text, old, now)
	require.Contains(t, text.String(), "old: 2 CPUs, os/arch, go1, grpc v1")
	for want, line := range map[string]string{
		"speed  connections 1, pool    RPCs ÷ plain": "2.00  2.00",
		"speed  connections 16, pool   RPCs ÷ plain": "16.0  8.00  worse",
		"speed  connections 16, pool   p99 ÷ plain":  "0.500  0.250  better",
		"speed  connections 1, plain   p99, ms":      "10.0  10.0",
		"(a)  RPCs against plain  at least 8.00 ×":   "16.0 ×  met  → 16.0 ×  MISSED",
	} {
		require.Contains(t, squeeze(text.String()), squeeze(want+"  "+line))
	}
	require.NotContains(t, text.String(), "failed", "a note is not compared")
}

func squeeze(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestPlotsAreWellFormed(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, example(1).SavePlots(dir))
	for _, name := range []string{"speed-rpcs.svg", "speed-p99.svg"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NotContains(t, string(text), "NaN")
		for d := xml.NewDecoder(bytes.NewReader(text)); ; {
			if _, err = d.Token(); err != nil {
				break
			}
		}
		require.ErrorIs(t, err, io.EOF, name)
	}
	lines, err := os.ReadFile(filepath.Join(dir, "speed-rpcs.svg"))
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(lines), "<polyline"), "one for each column")
	require.Contains(t, string(lines), "Speed &amp; size")
}

const page = `# Figures
<!-- measured: machine -->
<!-- end -->
Some words.
<!-- measured: a -->
old figures
<!-- end -->
More words.
<!-- measured: b -->
of another run
<!-- end -->
`

func TestAPageIsFilledWhereItIsMarked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(path, []byte(page), 0o644))
	for range 2 { // the second time changes nothing
		require.NoError(t, example(1).Fill(path, "plots"))
		filled, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, `# Figures
<!-- measured: machine -->
2 CPUs, os/arch, go1, grpc v1; 12 s. Medians, with quartiles.
<!-- end -->
Some words.
<!-- measured: a -->
It runs.

RPCs, a second:

| connections | plain | pool |
|---|---|---|
| 1 | 200 [150–250] | 400 [300–500] |
| 16 | 200 [150–250] | 3200 [2400–4000] |

p99, ms:

| connections | plain | pool |
|---|---|---|
| 1 | 10.0 | 5.00 |
| 16 | 10.0 | 5.00 |

failed, RPCs: 0 everywhere.

![Speed & size](plots/speed-rpcs.svg)

![Patience](plots/speed-p99.svg)

| claim | target | measured | |
|---|---|---|---|
| RPCs against plain | at least 8.00 × | 16.0 × | met |
| p99 | at most 4.00 ms | 5.00 ms | MISSED |
| of absent | at least 8.00 × | – | not run |

<!-- end -->
More words.
<!-- measured: b -->
of another run
<!-- end -->
`, string(filled))
	}
	require.FileExists(t, filepath.Join(filepath.Dir(path), "plots", "speed-p99.svg"))
}

func TestAPageWithoutARegionAndAQuickRunAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(path, []byte("<!-- measured: machine -->\n<!-- end -->\n"), 0o644))
	require.ErrorContains(t, example(1).Fill(path, "plots"), `page.md: no region "a"`)

	quick := example(1)
	quick.Quick = true
	require.ErrorContains(t, quick.Fill(path, "plots"), "a quick run has no figures")
}
