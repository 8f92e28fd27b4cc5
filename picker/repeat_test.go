package picker

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
)

// A restarting is an endpoint of three connections, the first of which says GOAWAY.
type restarting struct {
	*testing.T
	gate   *Gate
	from   GoAways
	old    []*Load
	picker *leastInFlight
}

func restart(t *testing.T) *restarting {
	r := &restarting{T: t, gate: new(Gate)}
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

func (r *restarting) connect() *Load {
	l := NewLoad(r.gate)
	l.Of(&r.from)
	l.Freshen(r.from.Opened())
	return l
}

func (r *restarting) publish(loads ...*Load) {
	r.gate.Open(Terms{})
	r.picker = &leastInFlight{pool{gate: r.gate, crowd: r.gate.crowd.Load()}}
	for _, l := range loads {
		r.picker.conns = append(r.picker.conns, conn{Load: l})
	}
}

// refuse ends an RPC that the server did not take; gRPC is about to repeat it.
func (r *restarting) refuse() { r.old[0].done(balancer.DoneInfo{Err: errUnavailable, BytesSent: true}) }

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

// Guards: `l.gate.expectRepeat()` in ended, and isRepeat in each picker.
func TestARefusedRPCWaitsForAConnectionMadeAfterwardsAndOthersGoOn(t *testing.T) {
	r := restart(t)
	require.True(t, r.pick(), "an RPC of another caller")
	r.refuse()
	first, second := r.rpc(), r.rpc()
	require.False(t, first())
	require.False(t, second(), "which of two it is, is not known")
	for range 10 {
		require.True(t, r.pick(), "all others")
	}
	require.Equal(t, 2, r.gate.Kept())

	fresh := r.connect()
	r.publish(append(r.old[1:], fresh)...)
	require.True(t, first())
	require.True(t, second())
	require.Equal(t, 2, fresh.InFlight(), "both")
	require.False(t, r.gate.Repeats())
	require.Zero(t, r.gate.Kept())
}

// Guards: CompareAndSwap in GoAway. Or where
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

// Guards: `l.goneAway.Swap(true)` in GoAway. A server of grpc-node says GOAWAY twice, 0.1 ms
// apart; the pool may dial between the two.
func TestAConnectionMadeAfterTheFirstOfTwoGoAwaysIsFresh(t *testing.T) {
	r := restart(t)
	fresh := r.connect()
	r.old[0].GoAway(0)
	r.refuse()
	r.publish(r.old[1], r.old[2], fresh)
	require.True(t, r.pick())
	require.Equal(t, 1, fresh.InFlight())
}

// Guards: EndRepeats.
func TestThePoolEndsTheWait(t *testing.T) {
	r := restart(t)
	r.refuse()
	kept := r.rpc()
	require.False(t, kept())
	require.True(t, r.gate.Repeats())
	r.gate.EndRepeats()
	r.publish(r.old[1:]...)
	require.False(t, r.gate.Repeats())
	require.True(t, kept())
}

// Guards: Close.
func TestAConnectionThatHasOutlivedTheOthersIsAsGoodAsAFreshOne(t *testing.T) {
	r := restart(t)
	require.NotZero(t, r.from.Opened())
	r.refuse()
	r.from.Close()
	require.Zero(t, r.from.Opened())
	require.True(t, r.pick())
}

// Guards: the conditions in ended.
func TestOnlyWhatAGoAwayEndsIsRepeated(t *testing.T) {
	r := restart(t)
	l := r.old[0]
	l.done(balancer.DoneInfo{Err: errUnavailable, BytesSent: true, BytesReceived: true})
	l.done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
	r.old[1].reserve()
	r.old[1].done(balancer.DoneInfo{Err: errUnavailable, BytesSent: true})
	require.False(t, r.gate.Repeats())
	l.done(balancer.DoneInfo{Err: errUnavailable}) // it waited for a stream
	require.True(t, r.gate.Repeats())
}

// Guards: `w&drainingBit == 0` in GoAway. No successor is made for a retired connection.
func TestWhatARetiredConnectionRefusesGoesToAny(t *testing.T) {
	r := restart(t)
	r.from.Close()
	r.old[1].Drain()
	r.old[1].GoAway(0)
	require.Zero(t, r.from.Opened())
}

// Guards: that GoAway sets the draining bit.
func TestAConnectionThatSaidGoAwayGetsNoRPC(t *testing.T) {
	r := restart(t)
	before := r.old[0].InFlight()
	for range 20 {
		require.True(t, r.pick())
	}
	require.Equal(t, before, r.old[0].InFlight())
	require.True(t, r.old[0].GoneAway())
}

// Guards: `took > 0 && w>>32 > 0` in GoAway: a server may name any stream.
func TestAGoAwayThatTookAnRPCIsProof(t *testing.T) {
	unused := NewLoad(new(Gate))
	unused.GoAway(1 << 30)
	require.False(t, unused.Served())
	refused := NewLoad(new(Gate))
	refused.reserve()
	refused.GoAway(0)
	require.False(t, refused.Served())
	taken := NewLoad(new(Gate))
	taken.reserve()
	taken.GoAway(1)
	require.True(t, taken.Served())
}

// A publication makes all that are kept pick again, and other RPCs pick at the same time.
//
// Guards: LoadAndDelete in isRepeat.
func TestAnRPCThatIsKeptIsKnownAgainWhoeverPicksBefore(t *testing.T) {
	r := restart(t)
	r.refuse()
	kept := r.rpc()
	require.False(t, kept())
	require.False(t, r.pick(), "taken for another")
	r.publish(r.old[1:]...)
	for range 10 {
		require.True(t, r.pick())
	}
	require.False(t, kept())
	fresh := r.connect()
	r.publish(append(r.old[1:], fresh)...)
	require.True(t, r.pick())
	before := fresh.InFlight()
	require.True(t, kept())
	require.Equal(t, before+1, fresh.InFlight())
}
