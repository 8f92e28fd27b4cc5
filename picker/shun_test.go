package picker_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/picker"
)

// broken is how a server ends an RPC that is in trouble.
var broken = balancer.DoneInfo{Err: status.Error(codes.Internal, "broken"), BytesSent: true, BytesReceived: true}

// Guards: shuns. By its room alone the first connection would get all 100 RPCs.
func TestAServerThatFailsGetsFewRPCsThoughOnlyItHasRoom(t *testing.T) {
	forEachBuiltIn(t, func(t *testing.T, name string) {
		synctest.Test(t, func(t *testing.T) { // no second begins
			p := full(4, 1)
			p.load(0).Done(ended)
			built, count := p.build(name), 0
			for range 100 {
				id, done := pick(t, built)
				if id == 0 {
					count++
					done(broken)
				}
			}
			require.LessOrEqual(t, count, 45, "while the others queue q each it may fail 2 + 2 q")
		})
	})
}

// Guards: shuns. The first connection has no limit, and is never full.
func TestAServerThatFailsGetsItsShareThoughItStatesNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no second begins
		p := full(2, 1)
		p.load(0).Done(ended)
		p.load(0).SetLimit(1000)
		built, count := p.build(picker.LeastInFlight), 0
		for range 100 {
			id, done := pick(t, built)
			if id == 0 {
				count++
				done(broken)
			}
		}
		require.LessOrEqual(t, count, 51)
	})
}

// Guards: load.Load.answered. While a connection has room an RPC does not wait for another one.
func TestAConnectionThatFailsSomeRPCsIsUsedWhileItHasRoom(t *testing.T) {
	for _, answer := range []balancer.DoneInfo{ended, {Err: status.Error(codes.NotFound, "none"), BytesSent: true, BytesReceived: true}} {
		synctest.Test(t, func(t *testing.T) {
			p := full(2, 50)
			for range 20 {
				for range 4 {
					p.load(0).Done(broken)
					p.load(0).Reserve()
				}
				p.load(0).Done(answer)
			}
			for range 10 { // it failed 80, and the other carries 50
				id, _ := pick(t, p.build(picker.LeastInFlight))
				require.Zero(t, id)
			}
		})
	}
}

// Guards: `!c.Blocked()` in leastCost.
func TestAnRPCDoesNotWaitWhereItNeverFindsAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := full(2, 1)
		p.load(1).SetLimit(0)
		for range 5 {
			p.load(0).Done(broken)
			p.load(0).Reserve()
		}
		p.load(0).Done(broken)
		id, _ := pick(t, p.build(picker.LeastInFlight))
		require.Zero(t, id)
	})
}

// Guards: `c.Cost() < least.Cost()` in withRoom, where what has the least cost of all is shunned. The
// first of the others would get its RPCs.
func TestWhatAConnectionThatFailsDoesNotGetGoesToTheLeastLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(4)
		p.load(0).SetLimit(1)
		p.hold(t, 0, 1)
		p.hold(t, 1, 200)
		p.hold(t, 2, 20)
		for range 10 {
			p.load(3).Reserve()
			p.load(3).Done(broken)
		}
		for range 100 { // the least cost of all is that of the first, which is full
			id, done := pick(t, p.build(picker.LeastInFlight))
			require.NotEqual(t, 1, id)
			if id == 3 {
				done(broken)
			} else {
				done(ended)
			}
		}
	})
}

// failing is two connections with a limit of 1. The first has room, and failed more than its share;
// the other is full.
func failing() *pool {
	p := full(2, 1)
	for range 5 {
		p.load(0).Done(broken)
		p.load(0).Reserve()
	}
	p.load(0).Done(broken)
	return p
}

// Guards: `!slices.ContainsFunc(p.all` in pickFrom. Nothing would tell an RPC that is held of the room
// that there is, and to send it there whenever RPCs are held made a server that fails get them all.
func TestAnRPCIsQueuedAndNotHeldWhereOnlyAConnectionThatFailsHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := failing()
		p.Coming = 1
		id, _ := pick(t, p.build(picker.LeastInFlight))
		require.Equal(t, 1, id)
		require.Zero(t, p.Waiters.Waiting())
	})
}

// Guards: `p.reserveStream()` in queue.
func TestAnRPCIsNotRefusedForARequestLimitThatMayBeNone(t *testing.T) {
	p := full(1, 100)
	p.load(0).Done(ended)
	p.load(0).SetRequestLimit(100, false)
	p.MaxQueued = 0
	id, _ := pick(t, p.build(picker.LeastInFlight))
	require.Zero(t, id)
	_, err := p.build(picker.LeastInFlight).Pick(anRPC())
	require.Error(t, err, "it is full")
}

// What is in flight on the full one may be streams that never end.
//
// Guards: that queue calls reserveStream whether RPCs are bounded or not.
func TestAnRPCIsNotQueuedWhereARequestLimitThatMayBeNoneLeavesAStream(t *testing.T) {
	p := full(2, 100)
	p.load(1).Done(ended)
	p.load(1).SetRequestLimit(100, false)
	id, _ := pick(t, p.build(picker.LeastInFlight))
	require.Equal(t, 1, id)
}

// It waits for the picker of the connections that are left, if any: that one may be dialled already.
//
// Guards: `least.Draining()` in queue.
func TestNoRPCIsRefusedWhereTheLastConnectionIsGone(t *testing.T) {
	p := full(2, 100)
	p.MaxQueued = 0
	p.load(0).Drain()
	_, err := p.build(picker.LeastInFlight).Pick(anRPC())
	require.Equal(t, codes.ResourceExhausted, status.Code(err), "one is full")
	p.load(1).GoAway(0)
	_, err = p.build(picker.LeastInFlight).Pick(anRPC())
	require.ErrorIs(t, err, balancer.ErrNoSubConnAvailable)
}

// Guards: `p.least(0` in reserveStream.
func TestPastARequestLimitASuspectIsTakenLast(t *testing.T) {
	p := full(2, 100)
	for i := range 2 {
		p.load(i).SetRequestLimit(100, false)
		p.load(i).Done(ended)
	}
	p.load(1).Done(ended)
	p.Suspects, p.Conns = p.Conns[1:], p.Conns[:1]
	p.MaxQueued = 0
	id, _ := pick(t, p.build(picker.LeastInFlight))
	require.Zero(t, id)
}

// Guards: leastOf in reserveStream.
func TestPastARequestLimitTheLeastLoadedConnectionIsTaken(t *testing.T) {
	p := full(2, 100)
	for i := range 2 {
		p.load(i).SetRequestLimit(100, false)
	}
	p.load(0).Done(ended)
	for range 50 {
		p.load(1).Done(ended)
	}
	p.MaxQueued = 0
	id, _ := pick(t, p.build(picker.LeastInFlight))
	require.Equal(t, 1, id)
}

// Guards: `!shuns(c, cost)` in soonest. A connection without a limit is the least loaded for it.
func TestAnRPCIsNotQueuedInAConnectionThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := failing()
		p.load(0).SetLimit(1000)
		slices.Reverse(p.Conns)
		id, _ := pick(t, p.build(picker.LeastInFlight))
		require.Equal(t, 1, id)
	})
}

// Guards: `p.reserveAny()` in queue.
func TestAnRPCIsNotRefusedWhereAConnectionThatFailsHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := failing()
		p.MaxQueued = 0
		id, _ := pick(t, p.build(picker.LeastInFlight))
		require.Zero(t, id)
		_, err := p.build(picker.LeastInFlight).Pick(anRPC())
		require.Error(t, err, "both are full")
	})
}
