package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/bench/child"
	"github.com/grpc-subpool/subpool/bench/workload"
)

func TestMain(m *testing.M) {
	child.Main(workload.Roles)
	os.Exit(m.Run())
}

func TestARunWritesItsResultItsTablesAndItsPlots(t *testing.T) {
	dir := t.TempDir()
	cpu, mem := filepath.Join(dir, "cpu.prof"), filepath.Join(dir, "mem.prof")
	require.NoError(t, command([]string{"-only", "j", "-out", dir, "-cpuprofile", cpu, "-memprofile", mem}))
	for _, name := range []string{"result.json", "result.md", "imbalance-imbalance.svg", "dials-most-dials.svg", "cpu.prof", "mem.prof"} {
		require.FileExists(t, filepath.Join(dir, name))
	}

	js, page := filepath.Join(dir, "result.json"), filepath.Join(dir, "page.md")
	require.NoError(t, command([]string{"compare", js, js}))
	require.NoError(t, os.WriteFile(page, []byte("<!-- measured: machine -->\n<!-- end -->\n<!-- measured: j -->\n<!-- end -->\n"), 0o644))
	require.NoError(t, command([]string{"docs", js, page}))
	filled, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(filled), "| 60 min |")
	require.Contains(t, string(filled), "(plots-page/dials-most-dials.svg)")
	require.FileExists(t, filepath.Join(dir, "plots-page", "dials-most-dials.svg"))
}

// The page that ships must have a place for each workload.
func TestTheBenchmarksPageHasARegionForEachWorkload(t *testing.T) {
	page, err := os.ReadFile("../docs/benchmarks.md")
	require.NoError(t, err)
	for _, k := range workload.All {
		require.Contains(t, string(page), "<!-- measured: "+k.Key+" -->")
	}
	require.Contains(t, string(page), "<!-- measured: machine -->")
}

func TestBadCommandsSayWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no such workload", []string{"-only", "a,z"}, `only: "z", must be letters from a to m`},
		{"no such command", []string{"measure"}, `"measure": no such command`},
		{"one file to compare", []string{"compare", "a.json"}, "compare: 1 files, must be 2"},
		{"a file that is not there", []string{"compare", "none.json", "none.json"}, "none.json"},
		{"no page", []string{"docs", "a.json"}, "docs: 1 files, must be 2"},
		{"no such part", []string{"-quick", "-only", "k", "-part", "absent"}, `part: "absent", must be one of ["start"`},
		{"no such contender", []string{"-quick", "-only", "i", "-contender", "absent"}, `contender: "absent", must be one of`},
	} {
		t.Run(tt.name, func(t *testing.T) { require.ErrorContains(t, command(tt.args), tt.want) })
	}
}

func TestOnlyTheLettersThatAreGiven(t *testing.T) {
	kinds, err := choose("j,a")
	require.NoError(t, err)
	require.Equal(t, "j", kinds[0].Key)
	require.Equal(t, "a", kinds[1].Key)
	require.Len(t, kinds, 2)
	kinds, err = choose("")
	require.NoError(t, err)
	require.Len(t, kinds, 13)
}
