package workload

import (
	"strconv"
	"time"

	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

var limited = Kind{
	Key:   "a",
	Title: "A limit of streams",
	About: "The server lets 100 RPCs run at a time on a connection, each takes 20 ms, and 1,500 callers want it.",
	run:   runLimited,
}

func runLimited(r *Run, w *result.Workload) error {
	srv, err := server.Start(server.Options{Streams: 100, Handler: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	defer func() { _ = srv.Stop() }()
	t := &result.Table{
		Name: "limited", RowName: "connections", Base: contender.Plain.Name,
		Metrics: []result.Metric{{Name: "RPCs", Unit: "a second"}, {Name: "p99", Unit: "ms", Lower: true}, {Name: "failed", Unit: "RPCs in a slice", Note: true}},
		Plots:   []result.Plot{{Metric: "RPCs", Title: "100 streams a connection, 20 ms, 1,500 callers", Lines: true, Log: true}},
	}
	w.Tables = append(w.Tables, t)
	l := load{callers: 1500, warm: r.lasts(200 * time.Millisecond), window: r.lasts(350 * time.Millisecond), latencies: true}
	connections := []int{1, 2, 4, 8, 16}
	if r.Quick > 0 {
		connections = []int{1, 16}
	}
	for _, n := range connections {
		slices := 3
		if n == 16 {
			slices = 11
		}
		var sides []side
		for _, c := range []contender.Contender{contender.Plain, contender.Channels, contender.GCP, contender.Lending, contender.Sharing, contender.Subpool} {
			sides = append(sides, carry(strconv.Itoa(n), c, contender.Settings{Min: n, Max: n}, srv, l, func(m *measured) values {
				return values{"RPCs": m.rate(), "p99": m.percentile(99), "failed": float64(m.failed)}
			}))
		}
		if err := r.alternate(t, slices, sides...); err != nil {
			return err
		}
	}
	against := func(other contender.Contender) result.Stat {
		return t.Ratio("16", contender.Subpool.Name, other.Name, "RPCs")
	}
	w.Verdicts = []result.Verdict{
		result.AtLeast("RPCs a second over 16 connections, against one plain channel", against(contender.Plain), 8, " ×"),
		result.AtLeast("… against 16 channels in turn", against(contender.Channels), 0.98, " ×"),
		result.NotBehind("… against grpcgcp", against(contender.GCP)),
	}
	return nil
}
