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
		"Paced, each stream sends 1.5 MB/s, which four connections can carry, and one cannot; unbounded, as much as it gets.",
	run: runBulk,
}

// 20 ms each way: so much is under way in 40 ms.
var slowLink = server.Link{Delay: 20 * time.Millisecond, Rate: 4e6, Buffer: 160e3}

const bulkMessage = 64 << 10

func runBulk(r *Run, w *result.Workload) error {
	srv, err := server.Start(server.Options{Link: slowLink})
	if err != nil {
		return err
	}
	defer func() { _ = srv.Stop() }()
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
	}{
		{"paced", bulkMessage * time.Second / 1500e3},
		{"unbounded", 0},
	} {
		var sides []side
		for _, c := range []contender.Contender{contender.Plain, contender.Channels, contender.GCP, contender.Subpool} {
			sides = append(sides, side{bulk.name, c.Name, func(int) (v values, err error) {
				err = use(c, contender.Settings{Min: 8, Max: 8}, srv, func(pool contender.Pool) (err error) {
					v, err = r.besideBulk(pool, srv, bulk.every)
					return err
				})
				return v, err
			}})
		}
		if err := r.alternate(t, 5, sides...); err != nil {
			return err
		}
		w.Verdicts = append(w.Verdicts, result.AtMost("p99 of small RPCs beside "+bulk.name+" bulk, against one plain channel's",
			t.Ratio(bulk.name, contender.Subpool.Name, contender.Plain.Name, "p99"), 0.5, " ×"))
	}
	return nil
}

// besideBulk measures small RPCs while bulk streams run.
func (r *Run) besideBulk(pool contender.Pool, srv *server.Process, every time.Duration) (values, error) {
	ctx, cancel := context.WithCancel(context.Background())
	var streams sync.WaitGroup
	defer streams.Wait()
	defer cancel()
	var received atomic.Int64
	client := grpc_testing.NewTestServiceClient(pool)
	for range 4 {
		stream, err := client.StreamingOutputCall(ctx, &grpc_testing.StreamingOutputCallRequest{
			ResponseParameters: []*grpc_testing.ResponseParameters{{Size: bulkMessage, IntervalUs: int32(every.Microseconds())}},
		}, grpc.WaitForReady(true))
		if err != nil {
			return nil, err
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
