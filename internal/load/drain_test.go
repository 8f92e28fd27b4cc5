package load

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
)

// counted returns a Load and how often it said that it may be empty.
func counted() (l *Load, empty *int) {
	empty = new(int)
	return New(NewWaiters(Signals{Changed: func() { *empty++ }}), nil), empty
}

func TestALoadIsDrainedOnlyWhenItDrainsAndIsEmpty(t *testing.T) {
	for _, tt := range []struct {
		name     string
		draining bool
		inFlight int
		want     bool
	}{
		{"in service, unused", false, 0, false},
		{"in service, used", false, 1, false},
		{"draining, used", true, 1, false},
		{"draining, much used", true, 1000, false},
		{"draining, unused", true, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := New(nil, nil)
			for range tt.inFlight {
				require.True(t, l.Reserve())
			}
			if tt.draining {
				l.Drain()
			}
			assert.Equal(t, tt.want, l.Drained())
			assert.Equal(t, tt.inFlight, l.InFlight())
		})
	}
}

// The policy may drain a connection that it drained before.
func TestToDrainTwiceIsToDrainOnce(t *testing.T) {
	l := New(nil, nil)
	l.Drain()
	l.Drain()
	assert.True(t, l.Drained())
	assert.False(t, l.Reserve())
}

// In service the count meets 0 all the time: a wake for each would be one for
// nearly every RPC.
func TestALoadInServiceNeverSaysThatItIsEmpty(t *testing.T) {
	l, empty := counted()
	l.Reserve()
	l.Done(balancer.DoneInfo{})
	require.Zero(t, *empty)
}

func TestTheLastRPCOfADrainingLoadSaysSo(t *testing.T) {
	l, empty := counted()
	l.Reserve()
	l.Reserve()
	l.Drain()
	l.Done(balancer.DoneInfo{})
	assert.Equal(t, 0, *empty, "one is still in flight")
	l.Done(balancer.DoneInfo{Err: errUnavailable})
	assert.Equal(t, 1, *empty)
}

// What a reserve saw before it added is too old: meanwhile the policy may have seen the
// Load drained, and closed the connection. So the check is made on the sum. With one
// made before, TestNoRPCGetsIntoALoadThatWasDrained fails only by luck.
func TestAReserveThatBeganBeforeTheDrainIsRefused(t *testing.T) {
	l := New(nil, nil)
	l.Drain()
	require.True(t, l.Drained())
	w := l.word.Add(oneStart | 1) // the first half of a reserve
	require.False(t, uint32(w) < l.slowReserveAt.Load() || l.reserveSlow(w))
	require.True(t, l.Drained())
}

// A reserve that is about to fail keeps the count up for a moment. If the last
// RPC ends in that moment it finds no empty Load, so CancelReserve must say it: with
// a bare l.word.Add in reserveSlow, instead of l.CancelReserve, nothing ever would.
func TestAFailedReserveThatOutlastsTheLastRPCSaysThatTheLoadIsEmpty(t *testing.T) {
	l, empty := counted()
	l.Reserve()
	l.Drain()
	w := l.word.Add(oneStart | 1) // the first half of a reserve
	l.Done(balancer.DoneInfo{})
	assert.Equal(t, 0, *empty, "a count that is up hides that none is in flight")
	assert.False(t, l.reserveSlow(w)) // its second half
	assert.Equal(t, 1, *empty)
	assert.True(t, l.Drained())
}

// The same for an RPC that would have waited there. Both halves are one call here, but
// its CancelReserve is what says it.
func TestAReserveQueuedThatIsRefusedSaysThatTheLoadIsEmpty(t *testing.T) {
	l, empty := counted()
	l.Drain()
	assert.False(t, l.ReserveQueued())
	assert.Equal(t, 1, *empty)
	assert.True(t, l.Drained())
}

// A retirement is many RPCs on one Load while its connection is retired.
type retirement struct {
	*testing.T
	*Load
	entered atomic.Int64  // RPCs that got in, each counted before it leaves
	woken   chan struct{} // Signals.Changed was called
	callers sync.WaitGroup
}

func newRetirement(t *testing.T) *retirement {
	r := &retirement{T: t, woken: make(chan struct{}, 1)}
	r.Load = New(NewWaiters(Signals{Changed: func() {
		select {
		case r.woken <- struct{}{}:
		default: // the policy will look anyway
		}
	}}), nil)
	return r
}

// call makes RPCs until none gets in, and then tries some more.
func (r *retirement) call() {
	for refused := 0; refused < 3; {
		if !r.Reserve() {
			refused++
			continue
		}
		if r.entered.Add(1)%8 == 0 {
			runtime.Gosched() // or retire would wait for the end of a time slice
		}
		r.Done(balancer.DoneInfo{})
	}
}

// retire is what the policy does: drain, look, and look again when told to. It
// returns how many RPCs had got in when the Load was drained. If the callers are
// gone none is left to tell: one of them must have.
func (r *retirement) retire() int64 {
	left := make(chan struct{})
	go func() { r.callers.Wait(); close(left) }()
	r.Drain()
	for !r.Drained() {
		select {
		case <-r.woken:
		case <-left:
			require.NotEmpty(r, r.woken, "the last RPC has left and nothing was told")
		}
	}
	entered := r.entered.Load()
	<-left
	return entered
}

// Draining and empty is one fact in one word. With a reserve that first checks
// and then adds, an RPC gets in between and is lost with its connection; with a
// bare l.word.Add in reserveSlow the policy would wait for ever.
func TestNoRPCGetsIntoALoadThatWasDrained(t *testing.T) {
	for round := range 50_000 {
		r := newRetirement(t)
		var started sync.WaitGroup
		for range 1 + round%4 {
			started.Add(1)
			r.callers.Go(func() { started.Done(); r.call() })
		}
		started.Wait()
		require.Equal(t, r.retire(), r.entered.Load())
		require.True(t, r.Drained(), "drained is for ever")
	}
}
