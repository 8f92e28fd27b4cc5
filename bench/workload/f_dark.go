package workload

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

var dark = Kind{
	Key:   "f",
	Title: "A connection that goes dark",
	About: "One of four connections, or the one of a plain channel, swallows all and answers nothing from some moment on; 16 callers have RPCs of 20 ms with a deadline of 200 ms. " +
		"Unresponsive detection is set to one second, where there is one. The contenders run side by side, each with a server of its own; " +
		"one that still fails after five seconds is no longer looked at.",
	run: runDark,
}

const unresponsiveTimeout = time.Second

func runDark(r *Run, w *result.Workload) error {
	t := &result.Table{
		Name: "dark", RowName: "connections", Base: "",
		Metrics: []result.Metric{{Name: "last failure", Unit: "s after the connection went dark", Lower: true}, {Name: "failed", Unit: "% of the RPCs since", Lower: true}},
		Plots:   []result.Plot{{Metric: "last failure", Title: "One connection goes dark; looked at for 5 s"}},
	}
	w.Tables = append(w.Tables, t)
	var all []side
	for _, c := range []contender.Contender{contender.Plain, contender.Channels, contender.GCP, contender.Subpool} {
		all = append(all, side{"4", c.Name, func(int) (values, error) { return r.goDark(c) }})
	}
	all, err := r.chosen(all)
	if err != nil {
		return err
	}
	for range r.slices(5) {
		if err := abreast(t, all); err != nil {
			return err
		}
		r.Progress("dark: "+t.Line("4"), false)
	}
	r.Progress(t.Line("4"), true)
	w.Verdicts = []result.Verdict{result.AtMost("last failure, with unresponsiveTimeout 1 s", result.StatOf(t.Values("4", contender.Subpool.Name, "last failure")),
		(2*unresponsiveTimeout + time.Second).Seconds(), " s")}
	return nil
}

// abreast measures the sides at the same time.
func abreast(t *result.Table, sides []side) error {
	results, errs := make([]values, len(sides)), make([]error, len(sides))
	var running sync.WaitGroup
	for i, s := range sides {
		running.Go(func() { results[i], errs[i] = s.measure(0) })
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i, s := range sides {
		t.Add(s.row, s.name, results[i])
	}
	return nil
}

// goDark measures how a contender gets over it.
func (r *Run) goDark(c contender.Contender) (v values, err error) {
	srv, err := server.Start(server.Options{Handler: 20 * time.Millisecond, Darkens: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = srv.Stop() }()
	err = use(c, contender.Settings{Min: 4, Max: 4, Unresponsive: unresponsiveTimeout}, srv, func(pool contender.Pool) error {
		var last, failed, rpcs atomic.Int64
		var since atomic.Pointer[time.Time]
		ctx, cancel := context.WithCancel(context.Background())
		client := grpc_testing.NewTestServiceClient(pool)
		var callers sync.WaitGroup
		for range 16 {
			callers.Go(func() {
				for ctx.Err() == nil {
					err := callWithin(ctx, client)
					if at := since.Load(); at != nil && ctx.Err() == nil {
						rpcs.Add(1)
						if err != nil {
							failed.Add(1)
							last.Store(int64(time.Since(*at)))
						}
					}
				}
			})
		}
		time.Sleep(r.lasts(500 * time.Millisecond))
		now := time.Now()
		err := srv.Darken()
		since.Store(&now)
		time.Sleep(r.lasts(5 * time.Second))
		cancel()
		callers.Wait()
		v = values{"last failure": time.Duration(last.Load()).Seconds(), "failed": 100 * float64(failed.Load()) / float64(max(1, rpcs.Load()))}
		return err
	})
	return v, err
}

func callWithin(ctx context.Context, client grpc_testing.TestServiceClient) error {
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err := client.EmptyCall(ctx, &grpc_testing.Empty{})
	return err
}
