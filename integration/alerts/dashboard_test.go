package alerts

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"
)

// queries are those of the dashboard, by panel, with values for Grafana's variables.
func queries(t *testing.T) map[string][]string {
	text, err := os.ReadFile("../../examples/prometheus/dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	all := make(map[string][]string)
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all[p.Title] = append(all[p.Title], strings.NewReplacer("$__rate_interval", "1m", "$target", ".+").Replace(target.Expr))
		}
	}
	return all
}

// exported is what the example exports, for promqltest: twice, so that there are rates.
func exported(t *testing.T) string {
	example := exec.Command("go", "run", "-C", "../../examples/prometheus", ".")
	example.Stderr = os.Stderr
	out, err := example.Output()
	require.NoError(t, err)
	var load strings.Builder
	load.WriteString("load 30s\n")
	for line := range strings.Lines(string(out)) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		require.True(t, ok, line)
		load.WriteString("  " + series + "} " + value + "x1\n")
	}
	return load.String()
}

func TestTheDashboardShowsWhatTheExampleExports(t *testing.T) {
	storage := promqltest.LoadedStorage(t, exported(t))
	engine := promqltest.NewTestEngine(t, false, 0, 100_000)
	panels := queries(t)
	require.Len(t, panels, 9)
	for panel, expressions := range panels {
		for _, expression := range expressions {
			q, err := engine.NewInstantQuery(t.Context(), storage, promql.NewPrometheusQueryOpts(false, 0), expression, time.Unix(30, 0))
			require.NoError(t, err, panel)
			vector, err := q.Exec(t.Context()).Vector()
			require.NoError(t, err, panel)
			require.NotEmpty(t, vector, "%s: %s", panel, expression)
			for _, s := range vector {
				require.NotEmpty(t, s.Metric.Get("grpc_target"), panel)
			}
			q.Close()
		}
	}
}
