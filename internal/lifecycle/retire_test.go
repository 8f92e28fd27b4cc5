package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Guards: Endpoint.forceCloseAt, and `case limited && …` in closeDrained.
func TestADrainThatTakesTooLongIsForceClosed(t *testing.T) {
	s := tell(t, "size=2 maxLifetime=1m drainTimeout=5s")
	s.connect()
	first, second := s.subchannels[0], s.subchannels[1]
	s.facts[first].ForceClosable = true
	s.pass(time.Minute)
	s.connect()
	s.connect()
	s.want(Draining, 2)
	require.Equal(t, 5*time.Second, s.did.Next.Sub(s.now))
	s.pass(5*time.Second - 1)
	require.Equal(t, Draining, first.phase)
	s.pass(1)
	require.Equal(t, []Closing{{first, true}}, s.did.Close)
	require.Equal(t, Draining, second.phase, "there is nothing to close without gRPC")
}

// Guards: `e.settings.DrainTimeout > 0` in forceCloseAt.
func TestWithoutDrainTimeoutADrainTakesAsLongAsItsRPCs(t *testing.T) {
	s := tell(t, "size=1 maxLifetime=1000h")
	s.connect()
	s.facts[s.subchannels[0]].ForceClosable = true
	s.pass(1000 * time.Hour)
	s.connect()
	s.want(Draining, 1)
	require.Equal(t, 1000*time.Hour, s.did.Next.Sub(s.now), "the next life ends")
	s.pass(999 * time.Hour)
	s.want(Draining, 1)
	s.finish()
	s.want(Draining, 0)
}

// Guards: `e.close(s, false)` in Endpoint.Lost; the SubConn would be left.
func TestADrainingConnectionThatIsLostIsClosed(t *testing.T) {
	s := tell(t, "size=1 maxLifetime=1m")
	s.connect()
	old := s.subchannels[0]
	s.pass(time.Minute)
	s.connect()
	s.said = nil
	require.False(t, s.lose(old), "it is none that flaps")
	s.settle()
	require.Equal(t, []Closing{{old, false}}, s.did.Close)
	require.Equal(t, Closed, old.phase)
	require.Empty(t, s.said, "it was told when it left")
}

// Guards: the ranks in Endpoint.leastUseful.
func TestWhatIsFarthestFromServingLeavesFirst(t *testing.T) {
	s := tell(t, "size=6 idleTimeout=16s")
	probe, backsOff, connecting := s.subchannels[0], s.subchannels[1], s.subchannels[2]
	serving := s.subchannels[3:]
	s.fail(probe)
	s.fail(backsOff)
	for _, sub := range serving {
		s.rise(sub)
	}
	s.settle()
	s.health(serving[0], HealthNotServing)
	s.up(connecting, 0) // checking
	s.settle()
	for _, left := range [][]*Subchannel{
		{probe, connecting, serving[0], serving[1], serving[2]},
		{connecting, serving[0], serving[1], serving[2]},
		{serving[0], serving[1], serving[2]},
		{serving[1], serving[2]},
		{serving[2]},
	} {
		s.SetSettings(parseSettings(t, s.settings, "minSize=0 maxSize="+string(rune('0'+len(left)))), s.now)
		s.settle()
		require.ElementsMatch(t, left, s.subchannels)
	}
}

// Guards: `s.mayRedial` in leastUseful.
func TestWhatMayRedialLeavesAfterWhatWaits(t *testing.T) {
	s := tell(t, "size=3")
	connected := s.subchannels[0]
	s.rise(connected)
	s.pass(time.Minute)
	s.fail(s.subchannels[1])
	s.fail(s.subchannels[2])
	s.lose(connected)
	s.BackoffOver(s.subchannels[2], 0)
	s.SetSettings(parseSettings(t, s.settings, "minSize=1 maxSize=2"), s.now)
	left := []*Subchannel{connected, s.subchannels[1]}
	s.settle()
	require.Equal(t, left, s.subchannels)
}

// Guards: `e.expiresFirst(a, b)` in Endpoint.retireSurplus.
func TestWhatWouldBeReplacedFirstLeavesFirst(t *testing.T) {
	s := tell(t, "size=3 maxLifetime=1h idleTimeout=16s")
	s.rise(s.subchannels[1])
	s.settle()
	s.now = s.now.Add(time.Second)
	s.connect()
	oldest := s.subchannels[1]
	s.SetSettings(parseSettings(t, s.settings, "minSize=1 maxSize=2"), s.now)
	s.settle()
	assert.Equal(t, []*Subchannel{oldest}, s.did.Drain)
}

// Guards: `e.sizing.shrinkBy == shrinkBy` in Endpoint.discard: only renewals are counted
// against maxSize.
func TestShrinkingWhileAsManyDrainIsNotUrgent(t *testing.T) {
	s := drainTwo(t)
	s.said = nil
	s.SetSettings(parseSettings(t, s.settings, "size=1"), s.now)
	s.settle()
	s.want(Draining, 3)
	last := s.said[len(s.said)-1]
	assert.Equal(t, []any{Retired, ReasonSettings, false}, []any{last.Kind, last.Reason, last.Urgent})
}

// RPCs may come until the plan is carried out.
//
// Guards: Subchannel.Draining.
func TestDrainTimeoutBeginsWhenNoRPCCanStartAnyMore(t *testing.T) {
	s := tell(t, "size=1 maxLifetime=1h drainTimeout=10s")
	s.connect()
	old := s.subchannels[0]
	s.facts[old].InFlight, s.facts[old].ForceClosable = 1, true
	s.pass(time.Hour)
	s.connect()
	require.Equal(t, Draining, old.phase)
	s.now = s.now.Add(time.Second) // it took so long
	old.Draining(s.now)
	s.pass(10*time.Second - 1)
	require.Equal(t, Draining, old.phase)
	s.pass(1)
	require.Equal(t, Closed, old.phase)
	old.Draining(s.now) // late
	require.Equal(t, Closed, old.phase)
}

// Guards: `b.dialled.Compare(a.dialled)` in leastUseful.
func TestOfAttemptsTheLastOneIsGivenUp(t *testing.T) {
	s := tell(t, "size=1")
	first := s.those(Connecting)
	s.pass(100 * time.Millisecond)
	s.SetSettings(parseSettings(t, s.settings, "size=2"), s.now)
	s.settle()
	s.want(Connecting, 2)
	s.SetSettings(parseSettings(t, s.settings, "size=1"), s.now)
	s.settle()
	require.Equal(t, first, s.those(Connecting))
}
