package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Guards: `now.Before(…provenAt…)` in Endpoint.Lost, and countFlap.
func TestAConnectionThatFlapsIsAFailedAttempt(t *testing.T) {
	s := tell(t, "size=4")
	s.connect()
	s.pass(time.Second - 1)
	s.cut()
	s.want(Connecting, 1) // once
	s.connect()
	s.cut()
	s.want(Connecting, 0)
	s.wantState(StateConnecting, "an RPC may try")
	s.pass(1600*time.Millisecond - 1)
	s.want(Connecting, 0)
	s.pass(1)
	s.want(Connecting, 1)

	s.connect()
	s.want(Connecting, 0) // one success proves nothing
	s.pass(time.Second)
	s.want(Connecting, 3)
}

// Guards: `s.conn.facts.Answered = end.Answered` in Endpoint.Lost.
func TestAConnectionThatAnsweredDoesNotFlap(t *testing.T) {
	s := tell(t, "size=1")
	s.connect()
	sub := s.subchannels[0]
	require.False(t, s.Lost(sub, 0, End{Answered: true}, s.now))
	s.settle()
	s.want(Connecting, 1)
	require.Zero(t, s.Failures())
}

// Guards: `o.probe != s` in countFailure.
func TestTheFlapOfAnotherDoesNotUndoWhatTheProbeProves(t *testing.T) {
	s := tell(t, "size=3")
	dials := s.those(Connecting)
	s.rise(dials[0])
	require.True(t, s.lose(dials[0])) // the probe
	s.pass(time.Second)
	s.rise(dials[1])
	s.rise(dials[0])
	s.settle()
	s.pass(time.Second / 2)
	s.lose(dials[1])
	s.settle()
	s.pass(time.Second / 2)
	s.want(Ready, 1)
	s.want(Connecting, 2)
}

// A server that accepts and closes may do so before or after its SETTINGS, in any order of
// sixteen: none must allow those that flapped to connect.
func TestAFlapBesideARefusalIsRemembered(t *testing.T) {
	s := tell(t, "size=3")
	dials := s.those(Connecting)
	s.rise(dials[0])
	s.fail(dials[1]) // the probe
	s.lose(dials[0])
	s.settle()
	s.rise(dials[2])
	s.settle()
	s.want(Connecting, 0)
}

// A clock may not move between a success and a flap. NewSubConn fails while a channel
// closes, and the pool would ask for one without end.
//
// Guards: `s.conn.afterFailure = false` in Endpoint.countFailure.
func TestWhatServedBeforeAFlapDoesNotForgiveItAtTheSameInstant(t *testing.T) {
	s := tell(t, "size=2")
	served, lost := s.subchannels[0], s.subchannels[1]
	s.rise(served)
	s.facts[served].Answered = true
	require.True(t, s.lose(lost))
	s.settle()
	require.Empty(t, s.did.Dial)
}

// Guards: `e.outage.noneUntil = …` in Endpoint.countFlap, and `e.outage == nil` in Lost.
func TestTheBackoffOfFlapsGrows(t *testing.T) {
	s := tell(t, "size=1")
	s.connect()
	s.cut()
	s.want(Connecting, 1) // at once, the first time
	for _, wait := range []time.Duration{1600 * time.Millisecond, 2560 * time.Millisecond} {
		s.connect()
		s.cut()
		s.want(Connecting, 0)
		assert.Equal(t, wait, s.did.Next.Sub(s.now))
		s.pass(wait)
		s.want(Connecting, 1)
	}
}

// Guards: `e.countFlap(s, now)` in Endpoint.lostConnecting, and `e.outdate()` in reachable:
// in TRANSIENT_FAILURE RPCs would fail that a plain channel dials for.
func TestAnAttemptThatIsLostBeforeREADYWaitsEvenTheFirstTime(t *testing.T) {
	s := tell(t, "size=1")
	require.True(t, s.lose(s.subchannels[0]))
	s.settle()
	s.want(Connecting, 0)
	require.Equal(t, time.Second, s.did.Next.Sub(s.now))
	s.wantState(StateConnecting)
}

// Guards: `e.outdate()` in reachable: RPCs that wait for ready would sit out the
// backoff, where pick_first becomes IDLE and dials for them.
func TestAFlapEndsTransientFailure(t *testing.T) {
	s := tell(t, "size=1")
	s.refuse()
	s.wantState(StateTransientFailure)
	s.endBackoff()
	require.True(t, s.lose(s.subchannels[0]), "before gRPC called it READY")
	s.settle()
	s.wantState(StateConnecting)
	s.want(Connecting, 0)
}
