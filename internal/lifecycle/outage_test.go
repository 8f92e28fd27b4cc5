package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

// Guards: `o.probe != s` in countFailure, `a.phase == Connecting` in startAttempts, and
// `case e.down` in State.
func TestAfterOneFailureThereIsOneAttemptAtATime(t *testing.T) {
	s := tell(t, "size=16")
	s.refuse()
	s.wantState(StateTransientFailure)
	s.want(Backoff, 16)
	probe := s.subchannels[0]
	for range 5 {
		s.endBackoff()
		s.want(Connecting, 1)
		require.Same(t, probe, s.those(Connecting)[0], "the same again, or the backoff would start anew")
		s.wantState(StateTransientFailure, "gRFC A62")
		s.refuse()
	}
	require.Equal(t, 6, s.Failures())
}

// Its answers may come after its end: what the server's GOAWAY says it took is proof.
//
// Guards: `e.endOutage()` in Endpoint.Lost.
func TestAConnectionThatProvesItselfByItsEndEndsTheOutage(t *testing.T) {
	for _, answered := range []bool{true, false} {
		s := tell(t, "size=16")
		s.refuse()
		s.endBackoff()
		s.connect()
		up := s.those(Ready)[0]
		s.facts[up].Answered = answered
		s.end(up, End{NoError: true, Final: true, Took: 1})
		s.settle()
		dials := 0 // it flapped
		if answered {
			dials = 16
		}
		s.want(Connecting, dials)
	}
}

// Guards: `e.clock = clock{now: now}` in Endpoint.Lost: no plan was asked for between.
func TestAConnectionThatIsLostWhenItIsASecondOldEndsTheOutage(t *testing.T) {
	s := tell(t, "size=16")
	s.refuse()
	s.endBackoff()
	s.connect()
	s.now = s.now.Add(ProvenAfter)
	s.lose(s.those(Ready)[0])
	s.settle()
	s.want(Connecting, 16)
}

// Guards: `since` in Endpoint.endOutage.
func TestTheFirstConnectionThatProvesItselfEndsTheOutage(t *testing.T) {
	s := tell(t, "size=16")
	s.refuse()
	s.endBackoff()
	s.connect()
	s.want(Ready, 1)
	s.want(Connecting, 0)
	s.facts[s.those(Ready)[0]].Answered = true
	s.settle()
	s.want(Connecting, 15)
	s.wantState(StateReady)
}

// Guards: `e.clock.reached(s.conn.provenAt(…))` in Endpoint.endOutage.
func TestAConnectionThatAnswersNothingProvesItselfWithinASecond(t *testing.T) {
	s := tell(t, "size=4")
	s.refuse()
	s.endBackoff()
	s.connect()
	require.Equal(t, ProvenAfter, s.did.Next.Sub(s.now))
	s.pass(ProvenAfter - 1)
	s.want(Connecting, 0)
	s.pass(1)
	s.want(Connecting, 3)
	require.Zero(t, s.Failures())
}

// Guards: `!e.pending()` in Endpoint.roundFailed.
func TestARoundFailsOnlyWithItsLastAttempt(t *testing.T) {
	s := tell(t, "size=2")
	s.fail(s.those(Connecting)[0])
	s.settle()
	s.wantState(StateConnecting)
	s.refuse()
	s.wantState(StateTransientFailure)
}

// Guards: `s.mayRedial` in Endpoint.nextAttempt, `!flapped` in Lost, and that Subchannel.dial
// takes mayRedial back.
func TestALostConnectionIsTriedAtOnceEvenInAnOutage(t *testing.T) {
	s := tell(t, "size=3")
	for _, sub := range s.those(Connecting)[:2] {
		s.rise(sub)
	}
	s.settle()
	s.refuse()
	s.want(Backoff, 1)
	s.pass(time.Minute)
	s.cut()
	s.want(Connecting, 1) // one at a time
	s.wantState(StateConnecting)
	s.refuse()
	s.want(Connecting, 1)
	s.refuse()
	s.want(Connecting, 0) // now the backoff holds for all
	s.endBackoff()
	require.Equal(t, s.subchannels[2:], s.those(Connecting), "the others had their attempt")
}

// Guards: `s.forRPC = false` in unwanted: RPCs would hang until the backoff of the probe ends, which
// failed while others served.
func TestARoundFailsThoughTheProbeFailedBefore(t *testing.T) {
	s := tell(t, "size=2")
	s.others = false
	s.rise(s.those(Connecting)[0])
	s.settle()
	s.refuse()
	s.pass(time.Minute)
	s.cut()
	s.wake()
	s.refuse()
	s.want(Connecting, 1) // for the RPC
	s.refuse()
	s.want(Connecting, 0)
	s.wantState(StateTransientFailure)
}

// Guards: `e.outage.attempt` in startAttempts, and `sinceUp > 1` in roundFailed.
func TestAnAttemptFromBeforeTheFirstFailureHoldsUpNoOther(t *testing.T) {
	s := tell(t, "size=8")
	hanging := s.those(Connecting)[0]
	for range 3 {
		for _, sub := range s.those(Connecting) {
			if sub != hanging {
				s.fail(sub)
			}
		}
		s.settle()
		s.endBackoff()
		s.want(Connecting, 2) // it and the probe
	}
	s.wantState(StateTransientFailure)
}

// Guards: `proven < len(e.subchannels)` in Endpoint.endOutage.
func TestWhenNothingIsLeftToAttemptTheOutageIsOver(t *testing.T) {
	s := tell(t, "size=2 idleTimeout=16s")
	s.rise(s.those(Connecting)[0])
	s.settle()
	s.refuse()
	// Live: the one that fails is not needed any more.
	s.SetSettings(parseSettings(t, s.settings, "size=1"), s.now)
	s.settle()
	require.Equal(t, 1, s.Failures())
	s.pass(time.Second)
	require.Zero(t, s.Failures())
}

// Guards: `o.noneUntil = …` in Endpoint.discard, and `e.outage == nil ||` in ended.
func TestARemovedEndpointIsRememberedWhileItFails(t *testing.T) {
	s := tell(t, "size=16")
	s.refuse()
	s.SetRemoved(true)
	s.settle()
	require.False(t, s.did.Ended)
	s.SetRemoved(false)
	s.settle()
	s.want(Connecting, 0)
	s.pass(time.Second)
	s.want(Connecting, 1)

	s.SetRemoved(true)
	s.settle()
	s.pass(time.Second) // the backoff of the probe, counted again
	require.False(t, s.did.Ended)
	require.Equal(t, backoffMax, s.did.Next.Sub(s.now))
	s.pass(backoffMax)
	require.True(t, s.did.Ended)
}

// Guards: `min(o.failures, 1)` and `o.noneUntil` in Endpoint.SetWanted.
func TestAnRPCThatComesInAnOutageMayTryAtOnceAndTheBackoffBeginsAnew(t *testing.T) {
	s := tell(t, "size=2")
	s.connect()
	s.cut()
	for range 3 { // it flaps, until the endpoint backs off
		s.connect()
		s.cut()
		s.pass(s.did.Next.Sub(s.now))
	}
	s.connect()
	s.cut()
	s.want(Connecting, 0)
	require.Greater(t, s.Failures(), 2)
	s.Wake(s.now)
	s.settle()
	s.want(Connecting, 1)
	require.Equal(t, 1, s.Failures())

	s.connect()
	s.cut()
	require.Equal(t, 1600*time.Millisecond, s.did.Next.Sub(s.now))
}

// The connection proves itself as it ends, before there is a plan that could end the outage.
//
// Guards: `e.outage.sinceUp = 0` in Endpoint.Connected: that the server can be reached is
// news.
func TestAServerThatServedAfterFailuresIsNotDownWhenItsConnectionIsLost(t *testing.T) {
	s := tell(t, "size=1")
	for range 2 {
		s.refuse()
		s.endBackoff()
	}
	s.wantState(StateTransientFailure)
	s.connect()
	s.wantState(StateReady)
	sub := s.subchannels[0]
	s.facts[sub].Answered = true
	require.False(t, s.lose(sub))
	s.settle()
	s.want(Connecting, 1)
	s.wantState(StateConnecting)
}

// Guards: `most == 0` in startAttempts, and `most--`; in an outage, too.
func TestNoMoreDialsBeginThanAreAllowed(t *testing.T) {
	newID := func() ID { return 1 }
	e := New(config.Config{MinSize: 5, MaxSize: 5, TargetStreams: 100}, []string{"a:1"}, start, newID, func() float64 { return 0.5 })
	p := e.Plan(start, 3)
	require.Len(t, p.Dial, 3)
	require.True(t, p.MoreDials)
	p = e.Plan(start, 0)
	require.Empty(t, p.Dial)
	require.True(t, p.MoreDials)
	p = e.Plan(start, 2)
	require.Len(t, p.Dial, 2)
	require.False(t, p.MoreDials)

	for _, s := range e.subchannels {
		e.Failed(s, 0, "refused")
	}
	e.BackoffOver(e.subchannels[0], 0)
	p = e.Plan(start, 0)
	require.Empty(t, p.Dial)
	require.True(t, p.MoreDials)
	p = e.Plan(start, 1)
	require.Len(t, p.Dial, 1)
	require.False(t, p.MoreDials)
}

// One server does not serve, and the other subchannel may not dial yet.
//
// Guards: `s.phase == Idle && s.waits` in Subchannel.Pending, and `s.waits = false` in
// countFailure.
func TestARoundHasNotFailedWhileASubchannelWaitsToDial(t *testing.T) {
	id := ID(0)
	newID := func() ID { id++; return id }
	e := New(config.Config{MinSize: 2, MaxSize: 2, TargetStreams: 100}, []string{"a:1"}, start, newID, func() float64 { return 0.5 })
	e.Plan(start, 1)
	first, second := e.subchannels[0], e.subchannels[1]
	require.True(t, second.Pending())
	e.Connected(first, 0, start)
	e.Observe(first, Facts{Health: HealthNotServing, Limit: NoLimit}, start)
	e.Plan(start, 0)
	require.Equal(t, StateConnecting, e.State())
	e.countFailure(first)
	require.False(t, second.Pending(), "in an outage it has no turn of its own")
	e.Plan(start, 0)
	require.Equal(t, StateTransientFailure, e.State())
}
