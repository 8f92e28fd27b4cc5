package load

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
)

// told is the waits of a pool.
type told struct {
	*Waiters
	waits []time.Duration
}

func listen() *told {
	w := new(told)
	w.Waiters = NewWaiters(Signals{Waited: func(d time.Duration) { w.waits = append(w.waits, d) }})
	return w
}

// full is a connection of one stream, that has it.
func (w *told) full(t *testing.T) *Load {
	l := New(w.Waiters, nil)
	l.SetLimit(1)
	require.True(t, l.Reserve())
	return l
}

func (w *told) queue(t *testing.T, l *Load) {
	require.True(t, l.ReserveQueued())
	l.Queue(t.Context())
}

func TestTheWaitOfAnRPCThatIsHeldEndsWhenItIsPlaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := listen()
		w.Wait(t.Context())
		time.Sleep(time.Second)
		require.True(t, w.ExpectsRepicks())
		require.False(t, w.PicksAgain(t.Context()))
		require.Zero(t, w.Held(), "it may have a place by now")
		w.Wait(t.Context())
		require.Equal(t, 1, w.Held())
		time.Sleep(time.Second)
		w.Placed(t.Context())
		require.Equal(t, []time.Duration{2 * time.Second}, w.waits)
		require.Equal(t, 2*time.Second, w.WaitedFor())
		held, _, _ := w.TakeFull()
		require.Equal(t, 1, held)
		require.Zero(t, w.Held())
		w.Placed(t.Context())
		require.Len(t, w.waits, 1, "the next RPC did not wait")
		require.False(t, w.ExpectsRepicks())
	})
}

func TestTheWaitOfAnRPCThatGivesUpEndsThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := listen()
		ctx, giveUp := context.WithCancel(t.Context())
		w.Wait(ctx)
		time.Sleep(time.Second)
		giveUp()
		synctest.Wait()
		require.Equal(t, []time.Duration{time.Second}, w.waits)
		require.Zero(t, w.Held())
	})
}

// What watches its context goes on.
func TestTheEndOfAnRPCThatWasPlacedEndsNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := listen()
		ctx, end := context.WithCancel(t.Context())
		w.Wait(ctx)
		w.Placed(ctx)
		w.Wait(ctx) // its retry
		w.Placed(ctx)
		end()
		synctest.Wait()
		require.Len(t, w.waits, 2)
	})
}

func TestATransparentRetryThatGaveUpIsNotExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := listen()
		ctx, giveUp := context.WithCancel(t.Context())
		w.HoldRetry(ctx)
		require.Equal(t, 1, w.HeldRetries())
		require.True(t, w.PicksAgain(ctx))
		giveUp()
		synctest.Wait()
		require.False(t, w.Retrying())
	})
}

// Its context ends while it picks again.
//
// Guards: `found.state.Swap(over)` in Waiters.remove: picks would look for a retry for ever.
func TestAWaitThatIsOverDoesNotBecomeThatOfATransparentRetry(t *testing.T) {
	w := listen()
	x := w.begin(t.Context())
	w.remove(t.Context())
	require.False(t, x.state.CompareAndSwap(held, heldAsRetry))
	require.Zero(t, w.Held())
}

func TestTheFirstThatIsQueuedGetsTheFirstStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := listen()
		l := w.full(t)
		for range 3 {
			w.queue(t, l)
			time.Sleep(time.Second)
		}
		l.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
		require.Equal(t, []time.Duration{3 * time.Second}, w.waits)
		time.Sleep(time.Second)
		l.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
		l.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
		l.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
		require.Equal(t, []time.Duration{3 * time.Second, 3 * time.Second, 2 * time.Second}, w.waits)
		require.Zero(t, l.InFlight())
	})
}

func TestAnRPCThatWasHeldAndIsQueuedWaitsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := listen()
		l := w.full(t)
		w.Wait(t.Context())
		time.Sleep(time.Second)
		w.queue(t, l)
		time.Sleep(time.Second)
		l.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
		require.Equal(t, []time.Duration{2 * time.Second}, w.waits)
	})
}

// Guards: `l.settleQueue()` in SetLimit.
func TestALimitThatIsRaisedEndsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := listen()
		l := w.full(t)
		w.queue(t, l)
		w.queue(t, l)
		time.Sleep(time.Second)
		l.SetLimit(2)
		require.Equal(t, []time.Duration{time.Second}, w.waits)
	})
}

// A place comes free between the two.
//
// Guards: `l.settleQueue()` in Queue.
func TestAnRPCThatFoundAStreamBeforeItWasCountedDidNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := listen()
		l := w.full(t)
		require.True(t, l.ReserveQueued())
		l.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
		l.Queue(t.Context())
		require.Equal(t, []time.Duration{0}, w.waits)
	})
}

// The fewer are held, the sooner they pick again.
//
// Guards: `w.waits.held.Load()` in Waiters.Waiting.
func TestRPCsThatGaveUpDoNotDelayTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWaiters(Signals{})
		in := w.Renew()
		l := New(w, nil)
		l.SetLimit(1)
		require.True(t, l.Reserve())
		ctx, giveUp := context.WithCancel(t.Context())
		for range 1000 {
			rpc, cancel := context.WithCancel(ctx)
			context.AfterFunc(rpc, cancel)
			w.Hold(in)
			w.Wait(rpc)
		}
		w.Hold(in)
		w.Wait(t.Context())
		giveUp()
		synctest.Wait()
		require.Equal(t, 1, w.Waiting())
		l.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
		require.Equal(t, 1, w.Freed(), "one RPC is held, one place is free")
	})
}

// Each makes the publication sooner, and is worth a look at the clock once for twice as many.
//
// Guards: `limit/2` in setSlow, and `bits.Len64` in Waiters.free.
func TestPlacesThatComeFreeWhileRPCsAreHeldAreCounted(t *testing.T) {
	var told []int
	ended := 0
	w := NewWaiters(Signals{Changed: func() { told = append(told, ended) }})
	l := New(w, nil)
	l.SetLimit(100)
	for range 100 {
		require.True(t, l.Reserve())
	}
	w.Hold(w.Renew())
	w.Wait(t.Context())
	for ended = 1; ended <= 50; ended++ {
		l.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
		require.Equal(t, ended, w.Freed())
	}
	require.Equal(t, []int{1, 2, 4, 8, 16, 32}, told)
	l.SetLimit(150)
	require.Equal(t, 150, w.Freed())
	require.Len(t, told, 7)
	w.EndWaits()
}

// A stats.Handler may put a context in the place of gRPC's.
//
// Guards: LoadOrStore and known in waits.go: what is counted twice and forgotten once is counted
// for ever.
func TestRPCsThatShareAContextAreNotCountedForEver(t *testing.T) {
	for name, ctx := range map[string]context.Context{"one for all": t.Context(), "that never ends": context.WithoutCancel(t.Context()), "none": nil} {
		t.Run(name, func(t *testing.T) {
			for range 1000 {
				w := NewWaiters(Signals{})
				var rpcs sync.WaitGroup
				for range 4 {
					rpcs.Go(func() {
						w.Wait(ctx)
						w.PicksAgain(ctx)
						w.HoldRetry(ctx)
						w.Placed(ctx)
					})
				}
				rpcs.Wait()
				w.Placed(ctx)
				require.False(t, w.ExpectsRepicks())
				require.Zero(t, w.Held())
			}
		})
	}
}

func TestWaitsOfAPoolThatIsClosedAreForgotten(t *testing.T) {
	w := NewWaiters(Signals{})
	w.Wait(t.Context())
	w.EndWaits()
	require.False(t, w.ExpectsRepicks())
	require.Zero(t, w.Held())
}
