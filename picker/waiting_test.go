package picker_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/picker"
)

// holding is one full connection, whose pickers hold RPCs.
func holding() *pool {
	p := full(1, 1)
	p.Coming = 1
	return p
}

// anRPC is what gRPC tells of a new one: each has a context of its own, that can be cancelled.
func anRPC() balancer.PickInfo {
	ctx, cancel := context.WithCancel(context.Background())
	context.AfterFunc(ctx, cancel)
	return balancer.PickInfo{Ctx: ctx}
}

// one makes an RPC on a new picker, and returns the error of its pick.
func (p *pool) one() error {
	_, err := p.build(picker.RoundRobin).Pick(anRPC())
	return err
}

func TestAnRPCWithoutRoomIsHeldAndCounted(t *testing.T) {
	demands := 0
	p := holding()
	p.Demand = func() { demands++ }
	require.ErrorIs(t, p.one(), balancer.ErrNoSubConnAvailable)
	require.Equal(t, 1, p.Waiters.Waiting())
	require.Equal(t, 1, demands)
}

// Guards: `l.free(1)` in load.Load.releaseSlow.
func TestAPlaceThatComesFreeIsTold(t *testing.T) {
	changes := 0
	p := holding()
	p.Changed = func() { changes++ }
	_ = p.one()
	p.load(0).Done(ended)
	require.Equal(t, 1, changes)
	require.Equal(t, 1, p.Waiters.Freed())
}

// The last of a picker's RPCs may find its place only after the next picker was
// made. Counted in common, it would take the place of one that is still held, and
// the next place would not be told.
func TestAnOutdatedPickerDoesNotMixUpTheCounts(t *testing.T) {
	changes := 0
	p := holding()
	old := p.build(picker.RoundRobin)
	p.Demand = func() { // between counting and the second look
		p.Demand = nil
		p.load(0).Done(ended)
		p.Waiting = p.Waiters.Renew()
	}
	_, err := old.Pick(anRPC())
	require.NoError(t, err)
	require.Zero(t, p.Waiters.Waiting())

	require.ErrorIs(t, p.one(), balancer.ErrNoSubConnAvailable)
	require.Equal(t, 1, p.Waiters.Waiting())
	p.Changed = func() { changes++ }
	p.load(0).Done(ended)
	require.Equal(t, 1, changes)
}

func TestWithoutHoldingAFullConnectionTakesMore(t *testing.T) {
	p := full(1, 1)
	require.NoError(t, p.one())
	require.Equal(t, 2, p.load(0).InFlight())
}

// The server raised its limit: nothing ended, and yet there is room.
func TestPlacesThatAreNewAreTold(t *testing.T) {
	changes := 0
	p := holding()
	p.Changed = func() { changes++ }
	_ = p.one()
	p.load(0).SetLimit(1)
	require.Zero(t, changes)
	p.load(0).SetLimit(2)
	require.Equal(t, 1, changes)
	require.Equal(t, 1, p.Waiters.Freed())
}

func TestAsManyAsMaxQueuedMayWait(t *testing.T) {
	p := full(1, 1)
	p.MaxQueued = 2
	for range 2 {
		require.NoError(t, p.one())
	}
	for range 3 {
		require.ErrorContains(t, p.one(), "subpool: maxPending: 2")
	}
	require.Equal(t, 3, p.load(0).InFlight())
	p.load(0).Done(ended)
	require.NoError(t, p.one())
}

// Racing picks must not become more, and some must get through.
func TestRacingPicksKeepMaxQueued(t *testing.T) {
	p := newPool(3)
	p.MaxQueued = 5
	for i := range 3 {
		p.load(i).SetLimit(1)
	}
	built := p.build(picker.RoundRobin)
	var in, most atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 2000 {
				res, err := built.Pick(anRPC())
				if err != nil {
					continue
				}
				now := in.Add(1)
				for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
				}
				runtime.Gosched()
				in.Add(-1)
				res.Done(balancer.DoneInfo{})
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, most.Load(), int64(3+5))
	require.Greater(t, most.Load(), int64(3))
	for i := range 3 {
		require.Zero(t, p.load(i).InFlight())
	}
}

// The second look of an RPC that is about to be held goes to suspect connections, too.
func TestAPlaceOnASuspectConnectionIsNotMissed(t *testing.T) {
	p := full(3, 1)
	p.Coming = 1
	p.suspect(1)
	p.Demand = func() { p.Demand = nil; p.load(1).Done(ended) } // just after it was looked at
	require.NoError(t, p.one())
	require.Equal(t, 1, p.load(1).InFlight())
}

func TestRPCsQueueInProportionToTheLimits(t *testing.T) {
	p := newPool(3)
	for i, limit := range []int{0, 10, 30} {
		p.load(i).SetLimit(limit)
	}
	for range 120 {
		require.NoError(t, p.one())
	}
	require.Equal(t, []int{0, 30, 90}, []int{p.load(0).InFlight(), p.load(1).InFlight(), p.load(2).InFlight()})
}

// Guards: Queue and CountRefused in pool.queue.
func TestRPCsThatFindEverythingFullAreCounted(t *testing.T) {
	told := 0
	p := full(1, 1)
	p.Full = func() { told++ }
	p.MaxQueued = 2
	for range 5 {
		_ = p.one()
	}
	require.Equal(t, 2, told, "of the first that is queued, and of the first that is refused")
	held, queued, refused := p.Waiters.TakeFull()
	require.Equal(t, []int{0, 2, 3}, []int{held, queued, refused})
	_ = p.one()
	require.Equal(t, 3, told, "of the first since then")
	_, queued, refused = p.Waiters.TakeFull()
	require.Equal(t, []int{0, 1}, []int{queued, refused})

	p.load(0).SetLimit(100)
	require.NoError(t, p.one())
	_, queued, refused = p.Waiters.TakeFull()
	require.Zero(t, queued+refused, "it found a place")
}

// Guards: `(*load.Load).AwaitsEnd` in pool.holds.
func TestAnRPCIsHeldWhereARequestLimitIsReached(t *testing.T) {
	p := newPool(1)
	p.load(0).SetRequestLimit(1, true)
	require.NoError(t, p.one())
	require.ErrorIs(t, p.one(), balancer.ErrNoSubConnAvailable)
	require.Equal(t, 1, p.Waiters.Waiting())
}

// The first of them may be all of one server, and another one the first to allow streams again.
//
// Guards: `soonest := p.conns[start]` in soonest.
func TestWhereNoServerAllowsAStreamRPCsWaitOnAnyConnection(t *testing.T) {
	forEachBuiltIn(t, func(t *testing.T, name string) {
		waiting := make(map[int]bool)
		for range 100 {
			p := full(4, 0)
			id, _ := pick(t, p.build(name))
			waiting[id] = true
		}
		require.Len(t, waiting, 4)
	})
}

// RPCs that fail hold no stream: were they counted, as Cost does, a queue of four would grow beside one of none.
//
// Guards: `l.InFlight()` in load.Load.RelativeLoad.
func TestRPCsAreQueuedEvenlyThoughSomeFailed(t *testing.T) {
	p := full(2, 2)
	for range 4 {
		require.True(t, p.load(0).ReserveQueued())
		p.load(0).Done(balancer.DoneInfo{Err: status.Error(codes.Unavailable, "broken"), BytesSent: true, BytesReceived: true})
	}
	p.load(0).Done(ended) // so that they failed not in a row
	require.True(t, p.load(0).ReserveQueued())
	for range 6 {
		pick(t, p.build(picker.RoundRobin))
	}
	require.Equal(t, 5, p.load(0).InFlight())
	require.Equal(t, 5, p.load(1).InFlight())
}

// As if each were one of N channels.
//
// Guards: `p.Waiters.Waiting() < p.Coming*c.InFlight()` in holds.
func TestNoMoreRPCsAreHeldForAConnectionThanAnotherHas(t *testing.T) {
	forEachBuiltIn(t, func(t *testing.T, name string) {
		p := full(2, 2)
		p.Coming = 3
		picker := p.build(name)
		for range 36 {
			_, _ = picker.Pick(anRPC())
		}
		require.Equal(t, 8, p.load(0).InFlight())
		require.Equal(t, 8, p.load(1).InFlight())
		require.Equal(t, 24, p.Waiters.Waiting())
	})
}

// Guards: `p.MaxQueued != load.NoMaxQueued` and `c.Blocked()` in holds.
func TestAllRPCsAreHeldWhereNoneMayBeQueued(t *testing.T) {
	for name, limit := range map[string]func(*pool){
		"with MaxQueued":       func(p *pool) { p.MaxQueued = 0 },
		"no stream is allowed": func(p *pool) { p.load(0).SetLimit(0) },
	} {
		t.Run(name, func(t *testing.T) {
			p := full(1, 1)
			p.Coming = 1
			limit(p)
			picker := p.build(picker.LeastInFlight)
			for range 10 {
				_, err := picker.Pick(anRPC())
				require.ErrorIs(t, err, balancer.ErrNoSubConnAvailable)
			}
			require.Equal(t, 10, p.Waiters.Waiting())
		})
	}
}
