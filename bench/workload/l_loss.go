package workload

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/path"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

var loss = Kind{
	Key:   "l",
	Title: "A path that loses packets",
	About: "Between two TCP stacks of the kernel, with cubic, is a path that all connections share: 30 ms each way, 10 MB/s, a buffer of 600 kB, and that part of the packets is lost, in both directions. " +
		"A pool of so many connections carries 16 callers of an empty RPC, then 16 of one whose answer has 4 KiB, then 16 streams of such messages, which take as much as they get.",
	run: runLoss,
}

// lossyLine has a buffer as large as what is under way in a round trip.
var lossyLine = path.Line{Delay: 30 * time.Millisecond, Rate: 10e6, Buffer: 600e3}

func runLoss(r *Run, w *result.Workload) (err error) {
	t := &result.Table{
		Name: "loss", RowName: "connections", Base: "0 %",
		Metrics: []result.Metric{{Name: "p99 empty", Unit: "ms", Lower: true}, {Name: "p50 empty", Unit: "ms", Lower: true},
			{Name: "p99 4 KiB", Unit: "ms", Lower: true}, {Name: "p50 4 KiB", Unit: "ms", Lower: true},
			{Name: "bulk", Unit: "MB/s, all streams"}, {Name: "failed", Unit: "RPCs in a slice", Note: true}},
		Plots: []result.Plot{{Metric: "p99 4 KiB", Title: "16 callers, 60 ms round trip", Lines: true, Log: true},
			{Metric: "bulk", Title: "16 streams, 60 ms round trip", Lines: true, Log: true}},
	}
	var sides [][]side
	for _, part := range []float64{0, 0.005, 0.01, 0.03} {
		over, stop, err := openLossy(part)
		if err != nil {
			return err
		}
		defer stop()
		sides = append(sides, over.sides(r))
	}
	w.Tables = append(w.Tables, t)
	if err := r.alternate(t, 3, byRow(sides)...); err != nil {
		return err
	}
	w.Verdicts = []result.Verdict{
		result.Told("p99 of empty RPCs with 1 % loss over 4 connections, against one", t.RowRatio("4", "1", "1 %", "p99 empty"), " ×"),
		result.AtLeast("… over 16 connections, against 4", t.RowRatio("16", "4", "1 %", "p99 empty"), 1.25, " ×"),
		result.AtMost("p99 of RPCs of 4 KiB with 1 % loss over 4 connections, against one", t.RowRatio("4", "1", "1 %", "p99 4 KiB"), 0.5, " ×"),
		result.AtLeast("… over 16 connections, against 4", t.RowRatio("16", "4", "1 %", "p99 4 KiB"), 1.25, " ×"),
		result.AtLeast("rate of bulk with 1 % loss over 8 connections, against one", t.RowRatio("8", "1", "1 %", "bulk"), 3, " ×"),
		result.Told("… with no loss", t.RowRatio("8", "1", "0 %", "bulk"), " ×"),
	}
	return nil
}

// byRow puts one row's sides beside each other.
func byRow(columns [][]side) (sides []side) {
	for row := range columns[0] {
		for _, column := range columns {
			sides = append(sides, column[row])
		}
	}
	return sides
}

// A lossy path leads to a server.
type lossy struct {
	*path.Path
	name string
	srv  *server.Process
}

func openLossy(part float64) (l *lossy, stop func(), err error) {
	line := lossyLine
	line.Loss = part
	l = &lossy{name: fmt.Sprintf("%g %%", 100*part)}
	if l.Path, err = path.New(line); err != nil {
		return nil, nil, err
	}
	err = l.AtServer(func() (err error) {
		l.srv, err = server.Start(server.Options{Path: true})
		return err
	})
	if err != nil {
		_ = l.Close()
		return nil, nil, err
	}
	return l, func() {
		_ = l.srv.Stop()
		_ = l.Close()
	}, nil
}

func (l *lossy) sides(r *Run) (sides []side) {
	dialer := grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return l.Dial(ctx, addr) })
	for _, n := range []int{1, 2, 4, 8, 16} {
		s := contender.Settings{Min: n, Max: n, Options: []grpc.DialOption{dialer}}
		sides = append(sides, side{fmt.Sprint(n), l.name, func(int) (v values, err error) {
			err = use(contender.Subpool, s, l.srv, func(pool contender.Pool) (err error) {
				v, err = r.inTurn(pool, l.srv)
				return err
			})
			return v, err
		}})
	}
	return sides
}

// inTurn carries three loads, one after the other. Of the RPCs 16 are under way at a time: over
// 16 connections one on each, behind which nothing is sent that would tell TCP of its loss.
func (r *Run) inTurn(pool contender.Pool, srv *server.Process) (values, error) {
	v := values{"failed": 0}
	for _, small := range []struct {
		name string
		rpc  func(context.Context, grpc_testing.TestServiceClient) error
	}{{"empty", emptyCall}, {"4 KiB", someCall}} {
		l := load{callers: 16, rpc: small.rpc, warm: r.lasts(500 * time.Millisecond), window: r.lasts(5 * time.Second), latencies: true}
		m, err := l.run(pool, srv)
		if err != nil {
			return nil, err
		}
		v["p99 "+small.name], v["p50 "+small.name] = m.percentile(99), m.percentile(50)
		v["failed"] += float64(m.failed)
	}
	// Short messages: a connection that is slow has parts of all streams' at a time.
	received, stop, err := receiveBulk(pool, 16, 4<<10, 0)
	defer stop()
	if err != nil {
		return nil, err
	}
	time.Sleep(r.lasts(time.Second)) // windows grow
	before, began := received.Load(), time.Now()
	time.Sleep(r.lasts(2500 * time.Millisecond))
	within(time.Minute, func() bool { return received.Load() > before })
	v["bulk"] = float64(received.Load()-before) / 1e6 / time.Since(began).Seconds()
	return v, nil
}

// someCall is answered with more than fits in one packet.
func someCall(ctx context.Context, client grpc_testing.TestServiceClient) error {
	_, err := client.UnaryCall(ctx, &grpc_testing.SimpleRequest{ResponseSize: 4 << 10}, grpc.WaitForReady(true))
	return err
}
