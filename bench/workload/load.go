package workload

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/server"
)

// A load is many callers, each of which begins its next RPC when the last has ended.
type load struct {
	callers   int
	rpc       func(context.Context, grpc_testing.TestServiceClient) error // nil is emptyCall
	warm      time.Duration                                               // from when all callers have begun until it is measured
	window    time.Duration                                               // that is measured
	latencies bool
}

func emptyCall(ctx context.Context, client grpc_testing.TestServiceClient) error {
	_, err := client.EmptyCall(ctx, &grpc_testing.Empty{}, grpc.WaitForReady(true))
	return err
}

// What a load came to within its window.
type measured struct {
	elapsed   time.Duration
	rpcs      int // that ended well
	failed    int
	failure   error           // the first
	latencies []time.Duration // in order
	client    usage
	server    time.Duration // of processor
	accepted  int           // connections
}

// usage is what this process has used.
type usage struct {
	cpu     time.Duration
	mallocs uint64
}

// Phases of a load.
const (
	warming int32 = iota
	measuring
	over
)

// A running load.
type running struct {
	load
	client grpc_testing.TestServiceClient
	phase  atomic.Int32
	begun  atomic.Int64 // callers
	any    atomic.Bool  // RPC that was measured

	mu sync.Mutex
	m  *measured
}

// run carries the load in a pool to srv, which is not asked for its usage if it is nil.
func (l load) run(pool contender.Pool, srv *server.Process) (*measured, error) {
	if l.rpc == nil {
		l.rpc = emptyCall
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := &running{load: l, client: grpc_testing.NewTestServiceClient(pool), m: new(measured)}
	var callers sync.WaitGroup
	for range l.callers {
		callers.Go(func() { r.call(ctx) })
	}
	err := r.window(srv)
	r.phase.Store(over)
	impatient := time.AfterFunc(300*time.Millisecond, cancel)
	defer impatient.Stop()
	callers.Wait()
	slices.Sort(r.m.latencies)
	return r.m, err
}

// window waits and measures.
func (r *running) window(srv *server.Process) error {
	if !within(time.Minute, func() bool { return r.begun.Load() == int64(r.callers) }) {
		return fmt.Errorf("%d of %d callers began within a minute", r.begun.Load(), r.callers)
	}
	time.Sleep(r.warm)
	before, err := usageOf(srv)
	if err != nil {
		return err
	}
	used, began := used(), time.Now()
	r.phase.Store(measuring)
	time.Sleep(r.load.window)
	if !within(time.Minute, r.any.Load) { // a short window on a busy machine may see none
		err = errors.New("no RPC ended within a minute")
	}
	r.phase.Store(over)
	r.m.elapsed, r.m.client = time.Since(began), used.since()
	after, usageErr := usageOf(srv)
	r.m.server, r.m.accepted = after.CPU-before.CPU, after.Accepted-before.Accepted
	return errors.Join(err, usageErr)
}

// within waits until that is so, for so long at most.
func within(d time.Duration, so func() bool) bool {
	for deadline := time.Now().Add(d); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

func usageOf(srv *server.Process) (server.Usage, error) {
	if srv == nil {
		return server.Usage{}, nil
	}
	return srv.Usage()
}

// call is a caller.
func (r *running) call(ctx context.Context) {
	var mine measured
	if r.latencies {
		mine.latencies = make([]time.Duration, 0, 4096)
	}
	r.begun.Add(1)
	for r.phase.Load() != over {
		var began time.Time
		if r.latencies {
			began = time.Now()
		}
		err := r.rpc(ctx, r.client)
		if r.phase.Load() != measuring {
			continue
		}
		if !r.any.Load() {
			r.any.Store(true)
		}
		switch {
		case err != nil:
			if mine.failed++; mine.failure == nil {
				mine.failure = err
			}
		default:
			mine.rpcs++
			if r.latencies {
				mine.latencies = append(mine.latencies, time.Since(began))
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.m.rpcs += mine.rpcs
	r.m.failed += mine.failed
	r.m.latencies = append(r.m.latencies, mine.latencies...)
	if r.m.failure == nil {
		r.m.failure = mine.failure
	}
}

func used() usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{server.CPU(), m.Mallocs}
}

func (before usage) since() usage {
	cpu := server.CPU() // before the looking costs some
	return usage{cpu - before.cpu, used().mallocs - before.mallocs}
}

func (m *measured) rate() float64 { return float64(m.rpcs) / m.elapsed.Seconds() }

// per is something by RPC.
func (m *measured) per(x float64) float64 { return x / float64(max(1, m.rpcs+m.failed)) }

// micros is processor time by RPC.
func (m *measured) micros(d time.Duration) float64 { return m.per(float64(d.Nanoseconds()) / 1000) }

// percentile of the latencies, in milliseconds.
func (m *measured) percentile(p float64) float64 {
	if len(m.latencies) == 0 {
		return 0
	}
	return float64(m.latencies[int(p/100*float64(len(m.latencies)-1))].Microseconds()) / 1000
}
