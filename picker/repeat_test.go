package picker

import (
	"sync"
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
		_, _ = r.picker.Pick(balancer.PickInfo{})
	}
	r.old[0].GoAway(1)
	return r
}

func (r *restarting) connect() *Load {
	l := NewLoad(r.gate)
	l.Of(&r.from, r.from.Count())
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

// pick reports whether an RPC found a connection.
func (r *restarting) pick() bool {
	_, err := r.picker.Pick(balancer.PickInfo{})
	if err != nil {
		require.ErrorIs(r, err, balancer.ErrNoSubConnAvailable)
	}
	return err == nil
}

// Guards: `l.gate.expectRepeat()` in ended, and isRepeat in each picker.
func TestARefusedRPCWaitsForAConnectionMadeAfterwardsAndOthersGoOn(t *testing.T) {
	r := restart(t)
	require.True(t, r.pick(), "an RPC of another caller")
	r.refuse()
	require.False(t, r.pick())
	require.False(t, r.pick(), "which of two it is, is not known")
	for range 10 {
		require.True(t, r.pick(), "all others")
	}
	require.Equal(t, 2, r.gate.Kept())

	fresh := r.connect()
	r.publish(append(r.old[1:], fresh)...)
	require.True(t, r.pick())
	require.True(t, r.pick())
	require.Equal(t, 2, fresh.InFlight(), "both")
	require.False(t, r.gate.Repeats())
	require.Zero(t, r.gate.Kept())
}

// Guards: `l.madeAt >= l.goAways.opened.Load()` in Fresh, CompareAndSwap in GoAway. Or where
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

// Guards: `old.kept.Swap(0)` in Open.
func TestKeptRPCsAreKeptAcrossAPublicationThatBringsNothing(t *testing.T) {
	r := restart(t)
	r.refuse()
	require.False(t, r.pick())
	for range 5 {
		r.publish(r.old[1:]...)
		require.False(t, r.pick())
	}
}

// Guards: EndRepeats.
func TestThePoolEndsTheWait(t *testing.T) {
	r := restart(t)
	r.refuse()
	require.False(t, r.pick())
	require.True(t, r.gate.Repeats())
	r.publish(r.old[1:]...)
	r.gate.EndRepeats()
	require.False(t, r.gate.Repeats())
	require.True(t, r.pick())
}

// Guards: Close.
func TestAConnectionThatHasOutlivedTheOthersIsAsGoodAsAFreshOne(t *testing.T) {
	r := restart(t)
	require.True(t, r.from.Open())
	r.refuse()
	r.from.Close()
	require.False(t, r.from.Open())
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
	require.False(t, r.from.Open())
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

// A pick may count itself in a picker whose time is over: before the next one took over
// what it kept, or after. Its RPC waits for the next one either way, and is known there.
//
// Guards: takeOne in repeat.
func TestNoKeptRPCIsForgottenBetweenTwoPickers(t *testing.T) {
	r := restart(t)
	const rpcs = 1000
	for range rpcs / 2 {
		r.old[0].reserve()
		r.refuse() // two each
	}
	var picking sync.WaitGroup
	old := r.picker
	for range 4 {
		picking.Go(func() {
			for range rpcs / 4 {
				_, _ = old.Pick(balancer.PickInfo{})
			}
		})
	}
	for range 50 {
		r.gate.Open(Terms{})
	}
	picking.Wait()
	r.gate.Open(Terms{})
	require.EqualValues(t, rpcs, r.gate.repeats.Load())
}
