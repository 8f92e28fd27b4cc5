package workload

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

var recycled = Kind{
	Key:   "e",
	Title: "Connections that are replaced every second",
	About: "A pool of eight with maxLifetime 1 s, and one that keeps its connections: 40 callers of an RPC of 10 ms, " +
		"and eight that hold streams of half a second, on which a message goes to and fro every 25 ms.",
	run: runRecycled,
}

func runRecycled(r *Run, w *result.Workload) error {
	srv, err := server.Start(server.Options{Streams: 100, Handler: 10 * time.Millisecond})
	if err != nil {
		return err
	}
	defer func() { _ = srv.Stop() }()
	kept, replaced := contender.Subpool.Named("kept"), contender.Subpool.Named("replaced")
	t := &result.Table{
		Name: "recycled", RowName: "connections", Base: kept.Name,
		Metrics: []result.Metric{{Name: "p99", Unit: "ms", Lower: true}, {Name: "p50", Unit: "ms", Lower: true}, {Name: "RPCs", Unit: "a second"},
			{Name: "failed", Unit: "RPCs and streams in a slice", Note: true}, {Name: "made", Unit: "connections in a slice", Note: true}},
	}
	w.Tables = append(w.Tables, t)
	var sides []side
	for _, c := range []contender.Contender{kept, replaced} {
		s := contender.Settings{Min: 8, Max: 8}
		if c.Name == replaced.Name {
			s.MaxLifetime = time.Second
		}
		sides = append(sides, side{"8", c.Name, func(int) (v values, err error) {
			err = use(c, s, srv, func(pool contender.Pool) (err error) {
				v, err = r.throughReplacement(pool, srv)
				return err
			})
			return v, err
		}})
	}
	if err := r.alternate(t, 7, sides...); err != nil {
		return err
	}
	w.Verdicts = []result.Verdict{
		result.AtMost("RPCs and streams that failed, in all slices", t.Sum("8", replaced.Name, "failed"), 0, ""),
		result.AtMost("p99, against that of connections that are kept", t.Ratio("8", replaced.Name, kept.Name, "p99"), 1.1, " ×"),
	}
	return nil
}

// throughReplacement measures RPCs and streams; the first lives of a pool end before it
// begins to look.
func (r *Run) throughReplacement(pool contender.Pool, srv *server.Process) (values, error) {
	type outcome struct {
		m   *measured
		err error
	}
	rpcs := load{callers: 40, warm: time.Second, window: r.lasts(2 * time.Second), latencies: true}
	streams := rpcs
	streams.callers, streams.latencies, streams.rpc = 8, false, holdStream
	held := make(chan outcome)
	go func() {
		m, err := streams.run(pool, nil)
		held <- outcome{m, err}
	}()
	m, err := rpcs.run(pool, srv)
	s := <-held
	if err := errors.Join(err, s.err); err != nil {
		return nil, err
	}
	for _, failure := range []error{m.failure, s.m.failure} {
		if failure != nil {
			r.Progress("recycled: failed: "+failure.Error(), true)
		}
	}
	return values{
		"p99":    m.percentile(99),
		"p50":    m.percentile(50),
		"RPCs":   m.rate(),
		"failed": float64(m.failed + s.m.failed),
		"made":   float64(m.accepted),
	}, nil
}

// holdStream is a stream of half a second.
func holdStream(ctx context.Context, client grpc_testing.TestServiceClient) error {
	stream, err := client.FullDuplexCall(ctx, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	for range 20 {
		if err := stream.Send(&grpc_testing.StreamingOutputCallRequest{}); err != nil {
			return err
		}
		if _, err := stream.Recv(); err != nil {
			return err
		}
		time.Sleep(25 * time.Millisecond)
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
