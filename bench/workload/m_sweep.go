package workload

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

var sweep = Kind{
	Key:   "m",
	Title: "How many connections",
	About: "Pools of so many connections to four servers of which is known how many they want. " +
		"Limit: 100 streams on a connection, each RPC takes 50 ms, and 300 callers. Processor: nothing bounds 64 callers but the client's one thread (GOMAXPROCS is 1). " +
		"Link: each connection has 2 MB/s and 10 ms each way, and 64 callers want answers of 16 KiB. " +
		"Balancer: connections go to four servers in turn, each of which serves 20 RPCs of 20 ms at a time, and 100 callers.",
	run: runSweep,
}

// A swept is a server, or several, and what is asked of it.
type swept struct {
	name    string
	servers int
	options server.Options
	callers int
	rpc     func(context.Context, grpc_testing.TestServiceClient) error
	threads int // of the client; 0 is as many as there are
}

var allSwept = []swept{
	{name: "limit", servers: 1, options: server.Options{Streams: 100, Handler: 50 * time.Millisecond}, callers: 300},
	{name: "processor", servers: 1, callers: 64, threads: 1},
	{name: "link", servers: 1, options: server.Options{Link: server.Link{Delay: 10 * time.Millisecond, Rate: 2e6, Buffer: 40e3}}, callers: 64, rpc: largeCall},
	{name: "balancer", servers: 4, options: server.Options{Handler: 20 * time.Millisecond, AtATime: 20}, callers: 100},
}

func largeCall(ctx context.Context, client grpc_testing.TestServiceClient) error {
	_, err := client.UnaryCall(ctx, &grpc_testing.SimpleRequest{ResponseSize: 16 << 10}, grpc.WaitForReady(true))
	return err
}

func runSweep(r *Run, w *result.Workload) error {
	t := &result.Table{
		Name: "sweep", RowName: "connections", Base: allSwept[0].name,
		Metrics: []result.Metric{{Name: "RPCs", Unit: "a second"}, {Name: "p99", Unit: "ms", Lower: true}, {Name: "failed", Unit: "RPCs in a slice", Note: true}},
		Plots:   []result.Plot{{Metric: "RPCs", Title: "Four servers", Lines: true, Log: true}},
	}
	var columns [][]side
	for _, s := range allSwept {
		sides, stop, err := s.sides(r)
		if err != nil {
			return err
		}
		defer stop()
		columns = append(columns, sides)
	}
	w.Tables = append(w.Tables, t)
	if err := r.alternate(t, 3, byRow(columns)...); err != nil {
		return err
	}
	gain := func(name, more, fewer string) result.Stat { return t.RowRatio(more, fewer, name, "RPCs") }
	w.Verdicts = []result.Verdict{
		result.AtLeast("limit, 300 callers of 100 streams: RPCs a second over 4 connections, against one", gain("limit", "4", "1"), 2.7, " ×"),
		result.AtMost("… over 16, against 4", gain("limit", "16", "4"), 1.1, " ×"),
		result.AtMost("processor: over 4 connections, against one", gain("processor", "4", "1"), 1.1, " ×"),
		result.AtLeast("link: over 16 connections, against one", gain("link", "16", "1"), 8, " ×"),
		result.AtLeast("balancer, four servers: over 4 connections, against one", gain("balancer", "4", "1"), 3.6, " ×"),
		result.AtMost("… over 16, against 4", gain("balancer", "16", "4"), 1.1, " ×"),
	}
	return nil
}

func (s swept) sides(r *Run) (sides []side, stop func(), err error) {
	var all []*server.Process
	stop = func() {
		for _, p := range all {
			_ = p.Stop()
		}
	}
	for range s.servers {
		p, err := server.Start(s.options)
		if err != nil {
			stop()
			return nil, nil, err
		}
		all = append(all, p)
	}
	var dials atomic.Int64
	inTurn := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		to := all[int(dials.Add(1))%len(all)]
		return new(net.Dialer).DialContext(ctx, "tcp", to.Addr)
	})
	l := load{callers: s.callers, rpc: s.rpc, warm: r.lasts(500 * time.Millisecond), window: r.lasts(time.Second), latencies: true}
	for _, n := range []int{1, 2, 4, 8, 16} {
		settings := contender.Settings{Addr: all[0].Addr, Min: n, Max: n, Options: []grpc.DialOption{inTurn}}
		sides = append(sides, side{fmt.Sprint(n), s.name, func(int) (values, error) {
			if s.threads > 0 {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(s.threads))
			}
			pool, err := contender.Subpool.Open(settings)
			if err != nil {
				return nil, err
			}
			defer func() { _ = pool.Close() }()
			m, err := l.run(pool, nil)
			if err != nil {
				return nil, err
			}
			return values{"RPCs": m.rate(), "p99": m.percentile(99), "failed": float64(m.failed)}, nil
		}})
	}
	return sides, stop, nil
}
