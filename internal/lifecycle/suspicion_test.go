package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// four is a pool of four that are READY and have proved themselves.
func four(t *testing.T) *story {
	s := tell(t, "size=4 unresponsiveTimeout=1s")
	s.connect()
	s.pass(time.Minute)
	return s
}

// Guards: `s.conn.suspect()` in Endpoint.cannotStay.
func TestASuspectIsReplacedAndLeavesFirst(t *testing.T) {
	s := four(t)
	suspect := s.subchannels[2]
	require.True(t, s.ignored(suspect))
	s.settle()
	s.want(Connecting, 1) // its successor
	require.True(t, s.did.Resolve)
	s.want(Ready, 4) // it may be picked until then
	s.connect()
	require.Equal(t, Draining, suspect.phase)
	s.want(Ready, 4)
}

// Guards: `trueFirst(a.Suspect(), b.Suspect())` in Endpoint.retireSurplus.
func TestAmongThoseThatAreDueASuspectLeavesFirst(t *testing.T) {
	s := tell(t, "size=20 maxLifetime=1m unresponsiveTimeout=1s")
	s.connect()
	s.pass(59 * time.Second)
	suspect := s.subchannels[11]
	require.True(t, s.ignored(suspect))
	s.now = s.now.Add(time.Second) // all are due
	s.settle()
	s.want(Connecting, 2) // the budget
	s.rise(s.those(Connecting)[0])
	s.settle()
	require.Equal(t, Draining, suspect.phase)
}

// Guards: `e.clearSuspicion()` in countFailure.
func TestASuspectIsNoneWhenItsSuccessorCannotConnect(t *testing.T) {
	s := four(t)
	suspect := s.subchannels[2]
	require.True(t, s.ignored(suspect))
	s.settle()
	s.fail(s.those(Connecting)[0])
	s.settle()
	require.False(t, suspect.Suspect())
	require.Len(t, s.subchannels, 4)
	s.want(Ready, 4)
}

// Guards: `e.clearSuspicion()` in observeHealth.
func TestASuspectIsNoneWhenItsSuccessorDoesNotServe(t *testing.T) {
	s := four(t)
	suspect := s.subchannels[2]
	require.True(t, s.ignored(suspect))
	s.settle()
	successor := s.those(Connecting)[0]
	s.up(successor, 0)
	s.health(successor, HealthNotServing)
	s.settle()
	require.False(t, suspect.Suspect())
	require.Equal(t, Ready, suspect.phase)
}

// Guards: slices.ContainsFunc in Endpoint.suspect.
func TestThereIsOneSuspectAtATime(t *testing.T) {
	s := four(t)
	require.True(t, s.ignored(s.subchannels[0]))
	s.now = s.now.Add(time.Hour)
	require.False(t, s.ignored(s.subchannels[1]))
}

// Guards: `2*x.gap` and both uses of maxSuspicionGap in Endpoint.suspect.
func TestSuspicionsBecomeRarer(t *testing.T) {
	s := four(t)
	begin := s.now
	var at []time.Duration
	for ; s.now.Sub(begin) < 30*time.Minute; s.now = s.now.Add(time.Second) {
		if s.ignored(s.subchannels[0]) {
			at = append(at, s.now.Sub(begin)/time.Second)
			s.clearSuspicion()
		}
	}
	require.Equal(t, []time.Duration{0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1111, 1411, 1711}, at, "in seconds: twice as long, at most 300")

	s.now = s.now.Add(2 * maxSuspicionGap)
	require.True(t, s.ignored(s.subchannels[0]))
	s.clearSuspicion()
	s.now = s.now.Add(time.Second)
	require.True(t, s.ignored(s.subchannels[0]), "after a long time without any it begins anew")
}

// Guards: `!s.InService()` in Endpoint.Observe, and `e.removed` in suspect.
func TestWhatLeavesIsNotSuspected(t *testing.T) {
	s := tell(t, "size=2 maxLifetime=1h unresponsiveTimeout=1s")
	s.connect()
	s.pass(time.Hour)
	leaving := s.subchannels[0]
	s.connect()
	require.Equal(t, Draining, leaving.phase)
	require.False(t, s.ignored(leaving))
	s.SetRemoved(true)
	require.False(t, s.ignored(s.subchannels[0]))
}

// Guards: `s.conn = nil` in Subchannel.lost.
func TestASuspectThatReconnectsIsNone(t *testing.T) {
	s := four(t)
	suspect := s.subchannels[0]
	require.True(t, s.ignored(suspect))
	s.lose(suspect)
	s.settle()
	s.connect()
	require.False(t, suspect.Suspect())
	s.want(Ready, 4)
	s.want(Connecting, 0)
}

// A GOAWAY to it would wait for an answer.
//
// Guards: `s.conn.suspectFor == ReasonUnresponsive && s.conn.facts.ForceClosable` in Endpoint.closeDrained.
func TestASuspectIsForceClosedWhenItHasDrained(t *testing.T) {
	for _, c := range []struct{ suspect, closable, forced bool }{
		{true, true, true}, {true, false, false}, {false, true, false},
	} {
		s := tell(t, "size=4 unresponsiveTimeout=1s maxLifetime=1h")
		s.connect()
		sub := s.subchannels[0]
		s.facts[sub].ForceClosable = c.closable
		if c.suspect {
			require.True(t, s.ignored(sub))
			s.settle()
		} else {
			s.pass(time.Hour)
		}
		s.connect()
		require.Equal(t, Draining, sub.phase)
		s.finish()
		assert.Equal(t, []Closing{{sub, c.forced}}, s.did.Close, "%+v", c)
	}
}
