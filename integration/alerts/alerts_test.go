// Package alerts evaluates the example's rules for Prometheus with Prometheus's own engine.
package alerts

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// expressions are those of the alerts, by name.
func expressions(t *testing.T) map[string]string {
	text, err := os.ReadFile("../../examples/prometheus/alerts.yml")
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	all := make(map[string]string)
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			all[r.Alert] = r.Expr
		}
	}
	return all
}

// Each series is a metric of one client in samples a minute, in Prometheus's notation: _ is
// none, stale a failed scrape, 1x9 nine times 1 more, 0+2x9 two more each time.
func TestAnAlertHoldsWhenItShouldAndOnlyThen(t *testing.T) {
	const nothing, idle = "0x60", "0x60"
	state := func(values map[string]string) (series []string) {
		for state, v := range values {
			series = append(series, fmt.Sprintf(`subpool_subchannels{subpool_state="%s",C} %s`, state, v))
		}
		return series
	}
	refused, queued := `subpool_calls_full_total{subpool_outcome="refused",C} `, `subpool_calls_full_total{subpool_outcome="queued",C} `
	lost, dark := `subpool_connections_retired_total{subpool_reason="lost",C} `, `subpool_connections_retired_total{subpool_reason="unresponsive",C} `
	shrunk, limit := `subpool_connections_retired_total{subpool_reason="shrink",C} `, `subpool_stream_limit{C} `
	const missing = `subpool_subchannels_missing{C} `
	tested := make(map[string]bool)
	all := expressions(t)
	for _, c := range []struct {
		alert, story string
		series       []string
		holds        bool
	}{
		{"SubpoolNothingReady", "connections are refused", state(map[string]string{"ready": nothing, "backoff": "1x60", "idle": "3x60"}), true},
		{"SubpoolNothingReady", "the server accepts and closes", state(map[string]string{"ready": nothing, "idle": "4x60"}), true},
		{"SubpoolNothingReady", "some are ready", state(map[string]string{"ready": "1x60", "backoff": "1x60"}), false},
		{"SubpoolNothingReady", "the pool is idle", state(map[string]string{"ready": idle, "idle": idle, "connecting": idle}), false},

		{"SubpoolCallsRefused", "a first burst", []string{refused + "_x55 5000x5"}, true},
		{"SubpoolCallsRefused", "another burst", []string{refused + "7x55 4007x5"}, true},
		{"SubpoolCallsRefused", "one long ago", []string{refused + "5000x60"}, false},
		{"SubpoolCallsRefused", "one long ago, and a scrape that failed a quarter of an hour ago", []string{refused + "5000x44 stale 5000x15"}, false},
		{"SubpoolCallsRefused", "queued only", []string{queued + "0+100x60"}, false},

		{"SubpoolCallsForceClosed", "for the first time", []string{"subpool_calls_force_closed_total{C} _x58 3x2"}, true},
		{"SubpoolCallsForceClosed", "and again", []string{"subpool_calls_force_closed_total{C} 3x50 5x10"}, true},
		{"SubpoolCallsForceClosed", "long ago", []string{"subpool_calls_force_closed_total{C} 3x60"}, false},
		{"SubpoolCallsForceClosed", "long ago, and a scrape that failed since", []string{"subpool_calls_force_closed_total{C} 3x44 stale 3x15"}, false},

		{"SubpoolRenewalsFail", "once a minute", []string{"subpool_renewals_failed_total{C} 0+1x60"}, true},
		{"SubpoolRenewalsFail", "once", []string{"subpool_renewals_failed_total{C} 0x50 1x10"}, false},

		{"SubpoolCallsQueue", "five a second", []string{queued + "0+300x60"}, true},
		{"SubpoolCallsQueue", "one in a minute", []string{queued + "0+1x60"}, false},

		{"SubpoolDemandBeyondMaxSize", "two pools", []string{missing + "0x60", strings.ReplaceAll(missing, "C", `instance="other",C`) + "11x60"}, true},
		{"SubpoolDemandBeyondMaxSize", "no more", []string{missing + "11x50 0x10"}, false},

		{"SubpoolConnectionsLost", "two a minute", []string{lost + "0+2x60"}, true},
		{"SubpoolConnectionsLost", "one in ten minutes", []string{lost + "0x20 1x10 2x10 3x10 4x10"}, false},

		{"SubpoolUnresponsive", "for the first time", []string{dark + "_x58 1x2"}, true},
		{"SubpoolUnresponsive", "and again", []string{dark + "1x50 2x10"}, true},
		{"SubpoolUnresponsive", "long ago, and a scrape that failed since", []string{dark + "1x44 stale 1x15"}, false},

		{"SubpoolServerBars", "one client of two", []string{limit + "0x60", strings.ReplaceAll(limit, "C", `instance="other",C`) + "-1x60"}, true},
		{"SubpoolServerBars", "no limit", []string{limit + "-1x60"}, false},
		{"SubpoolServerBars", "a limit", []string{limit + "100x60"}, false},

		{"SubpoolSaws", "every four minutes", []string{
			"subpool_growth_total{C} 0x4 1x4 2x4 3x4 4x4 5x4 6x4 7x4 8x4 9x4 10x4 11x4",
			shrunk + "0x4 1x4 2x4 3x4 4x4 5x4 6x4 7x4 8x4 9x4 10x4 11x4"}, true},
		{"SubpoolSaws", "it grows only", []string{"subpool_growth_total{C} 0+1x60"}, false},
		{"SubpoolSaws", "once an hour", []string{"subpool_growth_total{C} 0x30 8x30", shrunk + "0x59 3"}, false},
	} {
		t.Run(c.alert+": "+c.story, func(t *testing.T) {
			tested[c.alert] = true
			var load strings.Builder
			load.WriteString("load 1m\n")
			for _, s := range c.series {
				load.WriteString("  " + strings.ReplaceAll(s, "C}", `grpc_target="dns:///a",job="j"}`) + "\n")
			}
			storage := promqltest.LoadedStorage(t, load.String())
			engine := promqltest.NewTestEngine(t, false, 0, 100_000)
			require.NotEmpty(t, all[c.alert])
			q, err := engine.NewInstantQuery(context.Background(), storage, promql.NewPrometheusQueryOpts(false, 0), all[c.alert], time.Unix(0, 0).Add(time.Hour))
			require.NoError(t, err)
			defer q.Close()
			vector, err := q.Exec(context.Background()).Vector()
			require.NoError(t, err)
			require.Equal(t, c.holds, len(vector) > 0, "%v", vector)
			for _, s := range vector {
				require.Equal(t, "dns:///a", s.Metric.Get("grpc_target"))
			}
		})
	}
	for alert := range all {
		require.True(t, tested[alert], alert)
	}
}
