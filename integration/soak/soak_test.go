// Package soak holds subpool against a model under every fault that the harness can
// make, at random, for a long time.
package soak

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/grpc-subpool/subpool/internal/harness"
	"github.com/grpc-subpool/subpool/internal/witness"
)

var (
	seedFlag     = flag.Uint64("seed", 0, "of the faults; 0 draws one")
	rpcsFlag     = flag.Int64("soak.rpcs", 1_000_000, "RPCs that must succeed")
	recyclesFlag = flag.Int64("soak.recycles", 10_000, "connections that must have been replaced")
	forFlag      = flag.Duration("soak.for", 0, "go on at least this long")
)

// rounds is into how many parts the soak is cut. After each all is mended and at rest,
// and is looked at.
const rounds = 12

// A soak is one run.
type soak struct {
	testing.TB
	seed     uint64
	backends []*backend
	busy     []*channel
	dozy     *channel // goes idle
	channels []*channel

	sanctuary atomic.Pointer[backend] // of the round
	working   atomic.Int64            // workers
	succeeded atomic.Int64            // RPCs
	lastGood  atomic.Int64            // when one did, since started
	escaped   atomic.Int64            // black holes that the pool left by itself
	goAways   atomic.Int64
	budget    witness.Budget

	mu       sync.Mutex
	pools    map[string]witness.Pool // by target, after their last step
	verdicts map[verdict]int
	happened map[string]int // faults, by name
	history  []happening    // of the round
	wrong    []string       // what is outside the model
}

func TestSoak(t *testing.T) {
	seed, rpcs, recycles, parts := *seedFlag, *rpcsFlag, *recyclesFlag, rounds
	if seed == 0 {
		seed = rand.Uint64()
	}
	if testing.Short() {
		rpcs, recycles, parts = rpcs/100, recycles/100, 2
	}
	t.Logf("replay with: go test ./soak -run Soak -seed %d", seed)
	s := newSoak(t, seed)
	before := runtime.NumGoroutine()
	s.connect()
	s.calm()
	var heap []uint64
	begin := time.Now()
	for n := 0; n < parts || time.Since(begin) < *forFlag; n++ {
		s.round(n, rpcs*int64(n+1)/int64(parts), recycles*int64(n+1)/int64(parts))
		s.calm()
		heap = append(heap, heapAlloc())
		t.Logf("round %d, %v: %v; heap %s", n, time.Since(begin).Round(time.Second), s, mebibytes(heap[n]))
	}
	for _, c := range s.channels {
		require.NoError(t, c.Close())
	}
	s.gone(before)
	t.Logf("seed %d: %v; heap %s at half, %s at the end; goroutines %d before, %d after",
		seed, s, mebibytes(heap[(len(heap)-1)/2]), mebibytes(heap[len(heap)-1]), before, runtime.NumGoroutine())
	isFlat(t, heap)
}

// newSoak starts the servers.
func newSoak(t testing.TB, seed uint64) *soak {
	s := &soak{
		TB: t, seed: seed,
		pools: make(map[string]witness.Pool), verdicts: make(map[verdict]int), happened: make(map[string]int),
	}
	for i := range 4 {
		b := &backend{Server: harness.Start(t, harness.Options{Handle: handle}), addr: fmt.Sprintf("backend%d:443", i)}
		s.backends = append(s.backends, b)
	}
	s.sanctuary.Store(s.backends[0])
	witness.Settled = s.saw
	return s
}

// connect makes the channels.
func (s *soak) connect() {
	for i := range 2 {
		s.busy = append(s.busy, newChannel(s, fmt.Sprintf("busy%d", i), s.backends, grpc.WithIdleTimeout(0)))
	}
	s.dozy = newChannel(s, "dozy", s.backends, grpc.WithIdleTimeout(idleAfter))
	s.channels = append(slices.Clone(s.busy), s.dozy)
}

// saw is the witness of each step of each pool.
func (s *soak) saw(p witness.Pool) {
	for _, e := range p.Endpoints {
		if err := s.budget.Check(e); err != nil {
			s.wrongf("the one budget: %s: %v", p.Target, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pools[p.Target] = p
}

// round lets faults happen under load until so many RPCs have succeeded, and so many
// connections were replaced, since the beginning.
func (s *soak) round(n int, rpcs, recycles int64) {
	s.lastGood.Store(int64(time.Since(started)))
	stopFaults := s.drive(uint64(n))
	stopLoad := s.load(uint64(n))
	for s.succeeded.Load() < rpcs || s.recycled() < recycles {
		time.Sleep(10 * time.Millisecond)
		if time.Since(started)-time.Duration(s.lastGood.Load()) > time.Minute {
			s.wrongf("no RPC has succeeded for a minute")
		}
		if s.failed() {
			break
		}
	}
	stopFaults()
	s.report()
	s.soothe()
	stopLoad()
	s.report()
}

// ended judges an RPC, and waits as a caller would before the next one.
func (s *soak) ended(r *rpc) {
	r.end = time.Now()
	v, wrong := judge(r, s.sanctuary.Load())
	switch v {
	case succeeded:
		if l, _, _ := r.last(); l != nil {
			l.served.Store(true)
		}
		s.succeeded.Add(1)
		s.lastGood.Store(int64(r.end.Sub(started)))
		return
	case outside:
		s.wrongf("%s: %v\tmeanwhile, from a second before:\n%s", wrong, r, s.between(r.begin.Add(-time.Second), r.end))
	}
	s.mu.Lock()
	s.verdicts[v]++
	s.mu.Unlock()
	switch v {
	case noneReady:
		time.Sleep(30 * time.Millisecond)
	case refused:
		time.Sleep(5 * time.Millisecond)
	}
}

// enough is how much that is wrong is kept.
const enough = 10

// wrongf notes something that is outside the model.
func (s *soak) wrongf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.wrong) < enough {
		s.wrong = append(s.wrong, clock(time.Now())+" "+fmt.Sprintf(format, args...))
	}
}

func (s *soak) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.wrong) > 0
}

// report ends the test if anything was wrong.
func (s *soak) report() {
	if !s.failed() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Fatalf("seed %d, sanctuary %s:\n%s", s.seed, s.sanctuary.Load().addr, strings.Join(s.wrong, "\n"))
}

// waitFor waits until nothing is missing. That must not take too long.
func (s *soak) waitFor(what string, most time.Duration, missing func() string) {
	for until := time.Now().Add(most); ; time.Sleep(2 * time.Millisecond) {
		m := missing()
		if m == "" {
			return
		}
		if time.Now().After(until) {
			stacks := make([]byte, 1<<20)
			s.wrongf("waited %v for %s: %s\n%s", most, what, m, stacks[:runtime.Stack(stacks, true)])
			return
		}
	}
}

func (s *soak) recycled() (n int64) {
	for _, c := range s.busy {
		n += c.recycled.Load()
	}
	return n - s.goAways.Load() // a connection that the server sent away was not replaced
}

// outliers is how many connections were replaced because they failed more RPCs than their
// siblings. No backend of the soak fails more than another, but what a black hole holds back:
// nearly all of these verdicts are wrong.
func (s *soak) outliers() (n int) {
	for _, c := range s.channels {
		n += c.recorder.Sum("subpool.connections.opened", "outlier")
	}
	return n
}

// String is the summary.
func (s *soak) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := func(of map[string]int) string {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(of)) {
			all = append(all, fmt.Sprintf("%d %s", of[name], name))
		}
		return strings.Join(all, ", ")
	}
	inside, n := make(map[string]int), 0
	for v, count := range s.verdicts {
		inside[string(v)] = count
		n += count
	}
	return fmt.Sprintf("%d RPCs, %d failed inside the model (%s), %d outside; %d recycles, %d outliers replaced, %d times idle; faults: %s; the pool left %d black holes by itself",
		s.succeeded.Load()+int64(n), n, counts(inside), len(s.wrong), s.recycled(), s.outliers(), s.dozy.idled.Load(), counts(s.happened), s.escaped.Load())
}
