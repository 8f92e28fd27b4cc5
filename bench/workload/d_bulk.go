package workload

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

var bulk = Kind{
	Key:   "d",
	Title: "Bulk beside small RPCs on a slow link",
	About: "Each connection crosses a link of its own: 20 ms each way, 4 MB/s, with a buffer as large as what is under way in a round trip. " +
		"Over one connection or eight go four streams of 64 KiB messages, and four callers of an empty RPC. " +
		"Paced, each stream sends 1.5 MB/s, which four connections can carry, and one cannot; unbounded, as much as it gets. " +
		"In the last row all connections share one such link.",
	run: runBulk,
}

// 20 ms each way: so much is under way in 40 ms.
var slowLink = server.Link{Delay: 20 * time.Millisecond, Rate: 4e6, Buffer: 160e3}

const bulkMessage = 64 << 10

func runBulk(r *Run, w *result.Workload) error {
	one := slowLink
	one.Shared = true
	srv, err := server.Start(server.Options{Link: slowLink})
	if err != nil {
		return err
	}
	defer func() { _ = srv.Stop() }()
	shared, err := server.Start(server.Options{Link: one})
	if err != nil {
		return err
	}
	defer func() { _ = shared.Stop() }()
	t := &result.Table{
		Name: "bulk", RowName: "bulk", Base: contender.Plain.Name,
		Metrics: []result.Metric{{Name: "p99", Unit: "ms, of the small RPCs", Lower: true}, {Name: "p50", Unit: "ms, of the small RPCs", Lower: true},
			{Name: "bulk", Unit: "MB/s, all streams"}, {Name: "failed", Unit: "RPCs in a slice", Note: true}},
		Plots: []result.Plot{{Metric: "p99", Title: "Small RPCs beside four bulk streams, 20 ms and 4 MB/s a connection"}},
	}
	w.Tables = append(w.Tables, t)
	for _, bulk := range []struct {
		name  string
		every time.Duration // a message on each stream
		srv   *server.Process
	}{
		{"paced", bulkMessage * time.Second / 1500e3, srv},
		{"unbounded", 0, srv},
		{"unbounded, shared", 0, shared},
	} {
		var sides []side
		for _, c := range []contender.Contender{contender.Plain, contender.Channels, contender.GCP, contender.Subpool} {
			sides = append(sides, side{bulk.name, c.Name, func(int) (v values, err error) {
				err = use(c, contender.Settings{Min: 8, Max: 8}, bulk.srv, func(pool contender.Pool) (err error) {
					v, err = r.besideBulk(pool, bulk.srv, bulk.every)
					return err
				})
				return v, err
			}})
		}
		if err := r.alternate(t, 5, sides...); err != nil {
			return err
		}
		claim := "p99 of small RPCs beside " + bulk.name + " bulk, against one plain channel's"
		ratio := t.Ratio(bulk.name, contender.Subpool.Name, contender.Plain.Name, "p99")
		if bulk.srv == shared {
			w.Verdicts = append(w.Verdicts, result.Told(claim, ratio, " ×"))
		} else {
			w.Verdicts = append(w.Verdicts, result.AtMost(claim, ratio, 0.5, " ×"))
		}
	}
	return nil
}

// besideBulk measures small RPCs while bulk streams run.
func (r *Run) besideBulk(pool contender.Pool, srv *server.Process, every time.Duration) (values, error) {
	received, stop, err := receiveBulk(pool, 4, bulkMessage, every)
	defer stop()
	if err != nil {
		return nil, err
	}
	time.Sleep(r.lasts(500 * time.Millisecond)) // flow-control windows grow
	bytes := received.Load()
	l := load{callers: 4, window: r.lasts(1500 * time.Millisecond), latencies: true}
	m, err := l.run(pool, srv)
	if err != nil {
		return nil, err
	}
	return values{
		"p99":    m.percentile(99),
		"p50":    m.percentile(50),
		"bulk":   float64(received.Load()-bytes) / 1e6 / m.elapsed.Seconds(),
		"failed": float64(m.failed),
	}, nil
}

// receiveBulk opens streams with a message of that size every so often, 0 for as many as come,
// and counts the bytes of all of them, a message when it is whole. stop ends them, and those that were opened before an error.
func receiveBulk(pool contender.Pool, n int, size int32, every time.Duration) (received *atomic.Int64, stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	var streams sync.WaitGroup
	stop = func() {
		cancel()
		streams.Wait()
	}
	received = new(atomic.Int64)
	client := grpc_testing.NewTestServiceClient(pool)
	for range n {
		stream, err := client.StreamingOutputCall(ctx, &grpc_testing.StreamingOutputCallRequest{
			ResponseParameters: []*grpc_testing.ResponseParameters{{Size: size, IntervalUs: int32(every.Microseconds())}},
		}, grpc.WaitForReady(true))
		if err != nil {
			return received, stop, err
		}
		streams.Go(func() {
			for {
				m, err := stream.Recv()
				if err != nil {
					return
				}
				received.Add(int64(len(m.GetPayload().GetBody())))
			}
		})
	}
	return received, stop, nil
}
