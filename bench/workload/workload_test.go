package workload

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/bench/child"
	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/path"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

func TestMain(m *testing.M) {
	child.Main(Roles)
	os.Exit(m.Run())
}

// aMoment is a run that is much too short to tell anything.
func aMoment(t *testing.T) *Run {
	return &Run{Quick: 25, Progress: func(text string, _ bool) { t.Log(text) }}
}

// Each is run for a moment, and must fill its tables and come to a verdict on every
// claim; which, the moment cannot tell.
func TestEveryWorkloadRuns(t *testing.T) {
	for _, k := range All {
		t.Run(k.Key+" "+k.Title, func(t *testing.T) {
			r := aMoment(t)
			if raceDetector && k.Key == dark.Key {
				r.Contender = contender.Subpool.Name // grpcgcp v1.6.0 races in its detection: subConnRef.gotResp
			}
			w, err := r.Measure(k)
			if errors.Is(err, path.ErrUnavailable) {
				t.Skip(err)
			}
			require.NoError(t, err)
			require.NotEmpty(t, w.Tables)
			for _, table := range w.Tables {
				require.NotEmpty(t, table.Cells, table.Name)
				for _, p := range table.Plots {
					require.True(t, slices.ContainsFunc(table.Metrics, func(m result.Metric) bool { return m.Name == p.Metric }), p.Metric)
				}
				for _, m := range table.Metrics {
					require.NotEmpty(t, table.Values(table.Rows[0], table.Columns[len(table.Columns)-1], m.Name), "%s, %s", table.Name, m.Name)
				}
			}
			for _, v := range w.Verdicts {
				require.NotEqual(t, result.NotRun, v.Status, v.Claim)
			}
		})
	}
}

func TestOneContenderAloneIsMeasured(t *testing.T) {
	r := aMoment(t)
	r.Contender = contender.GCP.Name
	w, err := r.Measure(small)
	require.NoError(t, err)
	require.Equal(t, []string{contender.GCP.Name}, w.Tables[0].Columns)

	r.Contender = "absent"
	_, err = r.Measure(small)
	require.ErrorContains(t, err, `contender: "absent", must be one of ["N channels"`)
}

func TestSidesAlternate(t *testing.T) {
	var order []string
	note := func(row, name string) side {
		return side{row, name, func(slice int) (values, error) {
			order = append(order, name+row)
			return values{"slice": float64(slice)}, nil
		}}
	}
	table := &result.Table{Metrics: []result.Metric{{Name: "slice"}}}
	r := &Run{Progress: func(string, bool) {}}
	require.NoError(t, r.alternate(table, 3, note("1", "a"), note("1", "b"), note("2", "a")))
	require.Equal(t, "a1 b1 a2 b1 a2 a1 a2 a1 b1", strings.Join(order, " "))
	require.Equal(t, []float64{0, 1, 2}, table.Values("1", "b", "slice"))
}

func TestASideThatFailsEndsTheRunAndIsNamed(t *testing.T) {
	broken := side{"4", "pool", func(int) (values, error) { return nil, errors.New("no server") }}
	r := &Run{Progress: func(string, bool) {}}
	err := r.alternate(&result.Table{RowName: "connections"}, 3, broken)
	require.EqualError(t, err, "pool, connections 4: no server")
}

func TestALoadCountsWhatEndsWithinItsWindow(t *testing.T) {
	srv, err := server.Start(server.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, srv.Stop()) }()
	odd := func(ctx context.Context, client grpc_testing.TestServiceClient) error {
		if err := emptyCall(ctx, client); err != nil {
			return err
		}
		return errors.New("a failure")
	}
	for _, tt := range []struct {
		name string
		load load
	}{
		{"that succeeds", load{callers: 3, window: 50 * time.Millisecond, latencies: true}},
		{"that fails", load{callers: 3, window: 50 * time.Millisecond, latencies: true, rpc: odd}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, use(contender.Plain, contender.Settings{}, srv, func(pool contender.Pool) error {
				m, err := tt.load.run(pool, srv)
				require.NoError(t, err)
				if tt.load.rpc == nil {
					require.Positive(t, m.rpcs)
					require.Zero(t, m.failed)
					require.Positive(t, m.percentile(99))
				} else {
					require.Zero(t, m.rpcs)
					require.Positive(t, m.failed)
					require.EqualError(t, m.failure, "a failure")
				}
				require.Len(t, m.latencies, m.rpcs)
				require.True(t, slices.IsSorted(m.latencies))
				require.Positive(t, m.client.cpu)
				require.Positive(t, m.client.mallocs)
				require.Positive(t, m.server)
				require.GreaterOrEqual(t, m.elapsed, tt.load.window)
				return nil
			}))
		})
	}
}

func TestPercentilesAndWhatAnRPCCosts(t *testing.T) {
	m := &measured{elapsed: 2 * time.Second, rpcs: 90, failed: 10}
	for i := range 101 {
		m.latencies = append(m.latencies, time.Duration(i)*time.Millisecond)
	}
	require.InDelta(t, 99, m.percentile(99), 0)
	require.InDelta(t, 50, m.percentile(50), 0)
	require.InDelta(t, 45, m.rate(), 0)
	require.InDelta(t, 20, m.micros(2*time.Millisecond), 0)
	require.Zero(t, new(measured).percentile(99))
}
