package workload

import (
	"time"

	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

var small = Kind{
	Key:   "b",
	Title: "Small RPCs that nothing but the processor bounds",
	About: "64 callers of an empty RPC that the server answers at once, over four connections, or one plain channel. " +
		"RPCs a second tell how fast this machine is; the processor time of an RPC, in the client's and the server's process, tells what a contender costs.",
	run: runSmall,
}

// cost are the metrics of what an RPC costs.
var cost = []result.Metric{
	{Name: "client CPU", Unit: "µs an RPC", Lower: true},
	{Name: "server CPU", Unit: "µs an RPC", Lower: true},
	{Name: "allocations", Unit: "an RPC, in the client", Lower: true},
}

func costOf(m *measured) values {
	return values{
		"client CPU":  m.micros(m.client.cpu),
		"server CPU":  m.micros(m.server),
		"allocations": m.per(float64(m.client.mallocs)),
		"RPCs":        m.rate(),
	}
}

func runSmall(r *Run, w *result.Workload) error {
	srv, err := server.Start(server.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = srv.Stop() }()
	t := &result.Table{
		Name: "small", RowName: "callers", Base: contender.Plain.Name,
		Metrics: append([]result.Metric{{Name: "RPCs", Unit: "a second"}}, cost...),
		Plots:   []result.Plot{{Metric: "client CPU", Title: "An empty RPC, 64 callers"}},
	}
	w.Tables = append(w.Tables, t)
	l := load{callers: 64, warm: r.lasts(100 * time.Millisecond), window: r.lasts(400 * time.Millisecond)}
	var sides []side
	for _, c := range []contender.Contender{contender.Plain, contender.Channels, contender.GCP, contender.Lending, contender.Sharing, contender.Subpool} {
		sides = append(sides, carry("64", c, contender.Settings{Min: 4, Max: 4}, srv, l, costOf))
	}
	return r.alternate(t, 11, sides...)
}
