package workload

import (
	"fmt"
	"time"

	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

var unneeded = Kind{
	Key:   "g",
	Title: "A pool that is not needed",
	About: "64 callers of an empty RPC that the server answers at once, over pools of one to four connections that stay at one, against a plain channel; " +
		"the second plain channel shows what is noise. Then 1,000 connections that are not used: heap and stacks of the client after garbage collection, in a process of its own, " +
		"of 1,000 plain channels and of one pool.",
	run: runUnneeded,
}

func runUnneeded(r *Run, w *result.Workload) error {
	srv, err := server.Start(server.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = srv.Stop() }()
	t := &result.Table{
		Name: "unneeded", RowName: "callers", Base: contender.Plain.Name,
		Metrics: append(cost, result.Metric{Name: "RPCs", Unit: "a second"}),
	}
	idle := &result.Table{
		Name: "idle", RowName: "connections", Base: contender.Channels.Name,
		Metrics: []result.Metric{{Name: "memory", Unit: "KiB a connection", Lower: true}},
		Plots:   []result.Plot{{Metric: "memory", Title: "Connections that are not used"}},
	}
	w.Tables = append(w.Tables, t, idle)
	if err := r.compareCost(t, srv); err != nil {
		return err
	}
	if err := r.compareIdle(idle, srv); err != nil {
		return err
	}
	w.Verdicts = []result.Verdict{
		result.AtMost("client CPU of an RPC, against a plain channel", t.Ratio("64", contender.Subpool.Name, contender.Plain.Name, "client CPU"), 1.03, " ×"),
		result.AtMost("bytes of an idle connection, against a plain channel's", idle.Ratio(idleRow(r), contender.Subpool.Name, contender.Channels.Name, "memory"), 1.1, " ×"),
	}
	return nil
}

func (r *Run) compareCost(t *result.Table, srv *server.Process) error {
	l := load{callers: 64, warm: r.lasts(50 * time.Millisecond), window: r.lasts(250 * time.Millisecond)}
	var sides []side
	for _, c := range []contender.Contender{contender.Plain, contender.Plain.Named("plain channel again"), contender.GCP, contender.Subpool} {
		s := carry("64", c, contender.Settings{Min: 1, Max: 4}, srv, l, costOf)
		sides = append(sides, side{"64", s.name, func(slice int) (values, error) {
			before, err := srv.Usage()
			if err != nil {
				return nil, err
			}
			v, err := s.measure(slice)
			if err != nil {
				return nil, err
			}
			after, err := srv.Usage()
			if made := after.Accepted - before.Accepted; err == nil && made != 1 {
				err = fmt.Errorf("%d connections, must be 1: the pool was needed", made)
			}
			return v, err
		}})
	}
	return r.alternate(t, 31, sides...)
}
