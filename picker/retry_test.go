package picker_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/load"
	"github.com/grpc-subpool/subpool/picker"
)

// A restarting is an endpoint of three connections, on the first of which a GOAWAY came.
type restarting struct {
	*testing.T
	waiters *load.Waiters
	from    load.GoAways
	old     []*load.Load
	picker  balancer.Picker
	changed int    // signals
	demand  func() // may be set at any time
}

func restart(t *testing.T) *restarting {
	r := &restarting{T: t}
	r.waiters = load.NewWaiters(load.Signals{Changed: func() { r.changed++ }, Demand: func() { call(r.demand) }})
	for range 3 {
		r.old = append(r.old, r.connect())
	}
	r.publish(r.old...)
	for r.old[0].InFlight() < 4 {
		r.pick()
	}
	r.old[0].GoAway(1)
	return r
}

func (r *restarting) connect() *load.Load {
	l := load.New(r.waiters, &r.from)
	l.SetFresh(r.from.Opened())
	return l
}

func (r *restarting) publish(loads ...*load.Load) {
	s := load.Input{Waiters: r.waiters, Waiting: r.waiters.Renew(), Conns: loads, MaxQueued: load.NoMaxQueued}
	r.picker = picker.Build(picker.LeastInFlight, s)
}

// refuse ends an RPC that the server did not take; gRPC is about to retry it.
func (r *restarting) refuse() { r.old[0].Done(unavailable) }

// rpc is one, which may pick several times; it reports whether it found a connection.
func (r *restarting) rpc() func() bool {
	ctx, cancel := context.WithCancel(context.Background())
	r.Cleanup(cancel)
	return func() bool {
		_, err := r.picker.Pick(balancer.PickInfo{Ctx: ctx})
		if err != nil {
			require.ErrorIs(r, err, balancer.ErrNoSubConnAvailable)
		}
		return err == nil
	}
}

func (r *restarting) pick() bool { return r.rpc()() }

// Guards: `!isLost(info.Err)` in load.Load.fail.
func TestAnRPCThatTheServerTookAndLostHoldsNoOther(t *testing.T) {
	r := restart(t)
	r.old[0].Done(balancer.DoneInfo{BytesSent: true, Err: status.Error(codes.Unavailable,
		`closing transport due to: EOF, received prior goaway: code: ENHANCE_YOUR_CALM`)})
	require.False(t, r.waiters.Retrying())
	require.True(t, r.pick())
}

// Guards: `code == codes.OK && info.BytesSent` in load.Load.fail: gRPC found no connection any more, and picks
// another one.
func TestAPickThatCameToNothingIsNoRetry(t *testing.T) {
	r := restart(t)
	r.old[0].Done(balancer.DoneInfo{})
	require.False(t, r.waiters.Retrying())
}

// Guards: `|| !info.BytesReceived` in load.New, and `code == codes.OK` in load.Load.fail.
func TestAStreamThatIsRefusedWhileItSendsIsRetried(t *testing.T) {
	r := restart(t)
	r.old[0].Done(balancer.DoneInfo{BytesSent: true})
	require.True(t, r.waiters.Retrying())
	require.False(t, r.pick())
}

// Guards: `l.waiters.expectRetry()` in load.Load.fail, and PicksAgain in each picker.
func TestARefusedRPCWaitsForAConnectionMadeAfterwardsAndAllElseGoesOn(t *testing.T) {
	r := restart(t)
	require.True(t, r.pick(), "an RPC of another caller")
	r.refuse()
	first, second := r.rpc(), r.rpc()
	require.False(t, first())
	require.False(t, second(), "which of two it is, is not known")
	for range 10 {
		require.True(t, r.pick(), "any other RPC")
	}
	require.Equal(t, 2, r.waiters.HeldRetries())

	fresh := r.connect()
	r.publish(append(r.old[1:], fresh)...)
	require.True(t, first())
	require.True(t, second())
	require.Equal(t, 2, fresh.InFlight(), "both")
	require.False(t, r.waiters.Retrying())
	require.Zero(t, r.waiters.HeldRetries())
}

// Guards: CompareAndSwap in load.Load.GoAway. Or where
// one GOAWAY follows the other no connection would ever be fresh.
func TestAConnectionMadeAfterTheFirstGoAwayIsFreshForTheNext(t *testing.T) {
	r := restart(t)
	fresh := r.connect()
	r.old[1].GoAway(0)
	r.refuse()
	r.publish(r.old[2], fresh)
	require.True(t, r.pick())
	require.Equal(t, 1, fresh.InFlight())

	r.from.Close()
	r.old[2].GoAway(0)
	r.refuse()
	require.False(t, r.pick(), "it is not for one that comes later")
}

// Guards: `l.goAwayReceived.Swap(true)` in load.Load.GoAway. A server of grpc-node sends GOAWAY twice, 0.1 ms
// apart; the policy may dial between the two.
func TestAConnectionMadeAfterTheFirstOfTwoGoAwaysIsFresh(t *testing.T) {
	r := restart(t)
	fresh := r.connect()
	r.old[0].GoAway(0)
	r.refuse()
	r.publish(r.old[1], r.old[2], fresh)
	require.True(t, r.pick())
	require.Equal(t, 1, fresh.InFlight())
}

// Guards: YoungerThan in pool.reserveFresh. A server that ends each connection at some age ends the oldest
// next, and gRPC does not retry an RPC twice.
func TestARetryGoesToTheYoungestConnection(t *testing.T) {
	r := restart(t)
	older := r.connect()
	youngest := r.connect()
	r.publish(youngest, r.old[1], older)
	for range 3 {
		r.refuse()
		require.True(t, r.pick())
		require.True(t, r.pick(), "two are taken for retries")
	}
	require.Equal(t, 6, youngest.InFlight())
	youngest.SetLimit(6)
	r.refuse()
	require.True(t, r.pick())
	require.Equal(t, 1, older.InFlight(), "the next youngest")
}

// full is one more connection, which is fresh and has no room for a retry that is held.
func (r *restarting) full() (fresh *load.Load, held func() bool) {
	fresh = r.connect()
	fresh.SetLimit(1)
	require.True(r, fresh.Reserve())
	r.publish(append(r.old[1:], fresh)...)
	r.refuse()
	return fresh, r.rpc()
}

// Guards: load.Load.free, but for its first line.
func TestARetryThatIsHeldIsToldOfAPlaceOnAFreshConnection(t *testing.T) {
	r := restart(t)
	fresh, held := r.full()
	require.False(t, held())
	told := r.changed
	r.old[1].SetLimit(1)
	r.old[1].SetLimit(100)
	require.Equal(t, told, r.changed, "it is not for a place on another")
	fresh.Done(ended)
	require.Equal(t, told+1, r.changed)
	require.Equal(t, 1, r.waiters.Freed())
	require.True(t, held())
}

// Guards: that pool.retry looks again when the RPC is counted.
func TestAPlaceThatCameFreeBeforeARetryWasHeldIsNotMissed(t *testing.T) {
	r := restart(t)
	fresh, held := r.full()
	r.demand = func() { r.demand = nil; fresh.Done(ended) } // just before it looks again
	require.True(t, held())
	require.Zero(t, r.waiters.HeldRetries())
}

// Guards: load.Waiters.EndRetries.
func TestThePolicyEndsTheWait(t *testing.T) {
	r := restart(t)
	r.refuse()
	held := r.rpc()
	require.False(t, held())
	require.True(t, r.waiters.Retrying())
	r.waiters.EndRetries()
	r.publish(r.old[1:]...)
	require.False(t, r.waiters.Retrying())
	require.True(t, held())
}

// Guards: load.GoAways.Close.
func TestWithoutAWindowAnyConnectionIsFresh(t *testing.T) {
	r := restart(t)
	require.NotZero(t, r.from.Opened())
	r.refuse()
	r.from.Close()
	require.Zero(t, r.from.Opened())
	require.True(t, r.pick())
}

// Guards: the conditions in load.Load.fail.
func TestOnlyWhatAGoAwayEndsIsRetried(t *testing.T) {
	r := restart(t)
	l := r.old[0]
	l.Done(balancer.DoneInfo{Err: unavailable.Err, BytesSent: true, BytesReceived: true})
	l.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
	r.old[1].Reserve()
	r.old[1].Done(unavailable)
	require.False(t, r.waiters.Retrying())
	l.Done(balancer.DoneInfo{Err: unavailable.Err}) // it waited for a stream
	require.True(t, r.waiters.Retrying())
}

// Guards: `l.word.Or(drainingBit)` in load.Load.GoAway.
func TestAConnectionOnWhichAGoAwayCameGetsNoRPC(t *testing.T) {
	r := restart(t)
	before := r.old[0].InFlight()
	for range 20 {
		require.True(t, r.pick())
	}
	require.Equal(t, before, r.old[0].InFlight())
	require.True(t, r.old[0].GoAwayReceived())
}

// A publication makes all RPCs that are held pick again, and other RPCs pick at the same time.
//
// Guards: `picking` in load.Waiters.PicksAgain.
func TestARetryThatIsHeldIsKnownAgainWhateverPicksBefore(t *testing.T) {
	r := restart(t)
	r.refuse()
	held := r.rpc()
	require.False(t, held())
	require.False(t, r.pick(), "taken for another")
	r.publish(r.old[1:]...)
	for range 10 {
		require.True(t, r.pick())
	}
	require.False(t, held())
	fresh := r.connect()
	r.publish(append(r.old[1:], fresh)...)
	require.True(t, r.pick())
	before := fresh.InFlight()
	require.True(t, held())
	require.Equal(t, before+1, fresh.InFlight())
}
