package workload

import (
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

var burst = Kind{
	Key:   "c",
	Title: "A burst",
	About: "A pool with one connection, that may have 16, gets 750 streams at once that stay open; the server allows 50 on a connection, and a dial takes 50 ms. " +
		"N channels are connected before, all 16. A plain channel cannot run them all, nor can the pools that lend and share: the one has a connection for each stream, the other fills old connections as fast as new ones. They are given two seconds.",
	run: runBurst,
}

const burstStreams = 750

func runBurst(r *Run, w *result.Workload) error {
	srv, err := server.Start(server.Options{Streams: 50})
	if err != nil {
		return err
	}
	defer func() { _ = srv.Stop() }()
	t := &result.Table{
		Name: "burst", RowName: "streams", Base: contender.Subpool.Name,
		Metrics: []result.Metric{{Name: "time until all run", Unit: "ms", Lower: true}, {Name: "running", Unit: "streams at the end", Note: true}, {Name: "connections", Unit: "at the end", Note: true}},
		Plots:   []result.Plot{{Metric: "time until all run", Title: "750 streams at once, 50 a connection, dials of 50 ms"}},
	}
	w.Tables = append(w.Tables, t)
	settings := contender.Settings{Min: 1, Max: 16, Streams: 50, Options: []grpc.DialOption{grpc.WithContextDialer(dialSlowly)}}
	var sides []side
	for _, c := range []contender.Contender{contender.Plain, contender.Channels, contender.GCP, contender.Lending, contender.Sharing, contender.Subpool} {
		cannot := c.Name == contender.Plain.Name || c.Name == contender.Lending.Name || c.Name == contender.Sharing.Name
		sides = append(sides, side{"750", c.Name, func(slice int) (v values, err error) {
			if cannot && slice > 0 {
				return nil, nil
			}
			limit := 20 * time.Second
			if cannot {
				limit = r.lasts(2 * time.Second)
			}
			err = use(c, settings, srv, func(pool contender.Pool) (err error) {
				v, err = park(pool, srv, limit)
				if err == nil {
					v["connections"] += float64(c.Connections(settings))
				}
				return err
			})
			return v, err
		}})
	}
	if err := r.alternate(t, 11, sides...); err != nil {
		return err
	}
	w.Verdicts = []result.Verdict{result.AtLeast("time of grpcgcp until all run, against subpool's",
		t.Ratio("750", contender.GCP.Name, contender.Subpool.Name, "time until all run"), 3, " ×")}
	return nil
}

func dialSlowly(ctx context.Context, addr string) (net.Conn, error) {
	time.Sleep(50 * time.Millisecond)
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// park opens streams and waits until the server says that each runs, or the limit. Its
// connections are those that were made meanwhile.
func park(pool contender.Pool, srv *server.Process, limit time.Duration) (values, error) {
	before, err := srv.Usage()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	client := grpc_testing.NewTestServiceClient(pool)
	var mu sync.Mutex
	var last time.Duration
	running := 0
	began := time.Now()
	var opening sync.WaitGroup
	for range burstStreams {
		opening.Go(func() {
			stream, err := client.FullDuplexCall(ctx)
			if err != nil {
				return
			}
			if _, err := stream.Header(); err != nil { // the first that the server sends
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if ctx.Err() != nil { // it got the place of one that has just ended
				return
			}
			running++
			last = max(last, time.Since(began))
		})
	}
	opening.Wait()
	after, err := srv.Usage()
	v := values{"running": float64(running), "connections": float64(after.Accepted - before.Accepted)}
	if running == burstStreams {
		v["time until all run"] = float64(last.Microseconds()) / 1000
	}
	return v, err
}
