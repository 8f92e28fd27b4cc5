package lifecycle

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// alone begins a story in which the last connection of a channel was lost a moment ago.
func alone(t *testing.T, settings string) *story {
	s := tell(t, settings)
	s.others = false
	s.connect()
	s.pass(time.Minute)
	s.cut()
	s.wantState(StateConnecting)
	return s
}

// wake is a step in which an RPC finds no connection.
func (s *story) wake() {
	s.Wake(s.now)
	s.settle()
}

// A plain channel would dial for the first RPC only, and may find the server back.
//
// Guards: `e.Unwanted()` in Lost, `if s.forRPC` in countFailure, `!e.wanted` in State,
// `s.forRPC` in outdated, and retryForRPCs.
func TestAnAttemptThatBeganBeforeAnRPCWantedItFailsNone(t *testing.T) {
	for name, comes := range map[string]func(s *story){
		"after it failed":      func(s *story) { s.refuse(); s.wantState(StateIdle); s.wake() },
		"just after it began":  func(s *story) { s.pass(hangsAfter - 1); s.wake(); s.refuse() },
		"while it hangs":       func(s *story) { s.pass(hangsAfter); s.wake() },
		"while the next hangs": func(s *story) { s.refuse(); s.endBackoff(); s.pass(time.Minute); s.wake() },
	} {
		for _, size := range []string{"size=1", "size=3"} {
			t.Run(name+", "+size, func(t *testing.T) {
				s := alone(t, size)
				comes(s)
				s.wantState(StateConnecting)
				s.rise(s.those(Connecting)[0])
				s.settle()
				s.wantState(StateReady)
			})
			t.Run(name+", and is refused, "+size, func(t *testing.T) {
				s := alone(t, size)
				comes(s)
				s.refuse()
				s.wantState(StateTransientFailure)
				s.wake()
				s.want(Connecting, 0)
			})
		}
	}
}

// Guards: `hangsAfter` in outdated, `e.beside()` in renewals, and the one in urgent: the RPC would fail after
// as long as a dial may take.
func TestAnRPCThatWaitsForAnAttemptThatHangsHasAnotherOneBesideIt(t *testing.T) {
	for name, lost := range map[string]func(t *testing.T) *story{
		"alone":                     func(t *testing.T) *story { return alone(t, "size=1") },
		"while a connection drains": drainsAlone,
	} {
		t.Run(name, func(t *testing.T) {
			s := lost(t)
			first := s.those(Connecting)[0]
			s.wake()
			s.pass(hangsAfter - 1)
			s.want(Connecting, 1)
			s.pass(1)
			s.want(Connecting, 2)
			s.rise(first) // it was slow
			s.settle()
			s.wantState(StateReady)
			s.want(Connecting, 0)
		})
	}
}

// drainsAlone begins a story in which the last connection in service was lost, and one with an RPC drains.
func drainsAlone(t *testing.T) *story {
	s := tell(t, "size=1 maxLifetime=1h")
	s.others = false
	s.connect()
	s.facts[s.those(Ready)[0]].InFlight = 1
	s.pass(time.Hour)
	s.rise(s.those(Connecting)[0])
	s.settle()
	s.want(Draining, 1)
	s.pass(time.Minute)
	s.cut()
	s.want(Connecting, 1)
	return s
}

// Guards: `!e.outdated(s)` in pending: RPCs would wait until those that hang are given up.
func TestTheAttemptForAnRPCFailsItThoughOthersHang(t *testing.T) {
	s := alone(t, "size=3")
	s.pass(hangsAfter)
	s.wake()
	for _, sub := range s.those(Connecting) {
		if sub.forRPC {
			s.fail(sub)
		}
	}
	s.settle()
	s.want(Connecting, 3)
	s.wantState(StateTransientFailure)
}

// round_robin dials the servers that it has lost at once.
//
// Guards: `end.Alone` in Lost.
func TestInAChannelOfSeveralEndpointsAllAttemptsCount(t *testing.T) {
	s := tell(t, "size=1")
	s.connect()
	s.pass(time.Minute)
	s.cut()
	s.refuse()
	s.wantState(StateTransientFailure)
}

// gRPC tells a plain channel of a flap that its connection was lost, as of any other.
//
// Guards: `e.Unwanted()` in Lost, for flaps, and `!e.outage.flapped` in State.
func TestAfterAFlapTheNextAttemptFailsNoneEither(t *testing.T) {
	s := tell(t, "size=1")
	s.others = false
	s.connect()
	s.cut()
	s.wantState(StateConnecting, "a program that connects where it finds IDLE would dial in a loop")
	s.refuse()
	s.wantState(StateIdle)
	s.wake()
	s.wantState(StateConnecting)
	s.refuse()
	s.wantState(StateTransientFailure)
}

// gRPC reports no READY for a connection that ends as soon as it was made, and pick_first is IDLE then, too.
//
// Guards: `e.Unwanted()` in Lost, where s is Connecting.
func TestAfterAFlapWithoutREADYTheNextAttemptFailsNoneEither(t *testing.T) {
	s := tell(t, "size=1")
	s.others = false
	require.True(t, s.lose(s.those(Connecting)[0]))
	s.settle()
	s.wantState(StateConnecting)
	s.pass(2 * time.Second) // the backoff of a flap
	s.refuse()
	s.wantState(StateIdle)
}

// Those of before that hang end first, and one of them is dialled again before the attempt for the RPC ends.
//
// Guards: `s.dialled.After(o.failed)` in pending.
func TestAnAttemptThatBeganLaterHoldsNoRPCUp(t *testing.T) {
	s := alone(t, "size=3")
	s.pass(hangsAfter)
	s.wake()
	var own *Subchannel
	for _, sub := range s.those(Connecting) {
		if sub.forRPC {
			own = sub
			continue
		}
		s.fail(sub)
	}
	s.settle()
	s.wantState(StateConnecting)
	s.pass(time.Second)
	s.endBackoff()
	s.want(Connecting, 2)
	s.fail(own)
	s.settle()
	s.want(Connecting, 1)
	s.wantState(StateTransientFailure)
}

// round_robin is in TRANSIENT_FAILURE at once.
//
// Guards: `e.has(NotServing)` in beside, and in retryForRPCs.
func TestNoRPCWaitsForAnotherAttemptWhereTheServerDoesNotServe(t *testing.T) {
	for _, others := range []bool{true, false} {
		s := tell(t, "size=2")
		s.others = others
		s.connect()
		s.pass(time.Minute)
		s.lose(s.those(Ready)[0])
		s.pass(2 * hangsAfter)
		s.want(Connecting, 1)
		s.health(s.those(Ready)[0], HealthNotServing)
		s.wake()
		s.want(Connecting, 1)
		s.wantState(StateTransientFailure)
	}
}

// Guards: `e.outdate()` in reachable. In a channel of several endpoints no other line does it.
func TestAfterAFlapNoRPCIsLeftWithAnAttemptThatHangs(t *testing.T) {
	s := tell(t, "size=2")
	slow, hangs := s.subchannels[0], s.subchannels[1]
	s.fail(hangs)
	s.pass(time.Second)
	s.endBackoff()
	s.pass(time.Second)
	s.rise(slow)
	s.settle()
	s.lose(slow)
	s.settle()
	s.wake()
	s.pass(hangsAfter)
	s.wake()
	s.want(Connecting, 2)
}

// gRPC would continue the backoff of a SubConn that has failed, so its next attempt would come late.
//
// Guards: `s.dialled.IsZero()` in retryForRPCs.
func TestTheAttemptForAnRPCIsTheFirstOfItsSubchannel(t *testing.T) {
	s := alone(t, "size=3")
	s.refuse()
	s.endBackoff()
	s.refuse()
	failed := slices.Clone(s.subchannels)
	s.wake()
	require.NotContains(t, failed, s.those(Connecting)[0])
}

// Guards: `r++` in leastUseful, which is less than the next phase has.
func TestAProbeThatBacksOffIsGivenUpBeforeAnAttempt(t *testing.T) {
	s := tell(t, "size=2")
	s.fail(s.those(Connecting)[0])
	s.settle()
	attempt := s.those(Connecting)
	s.SetSettings(parseSettings(t, s.settings, "size=1"), s.now)
	s.settle()
	require.Equal(t, attempt, s.those(Connecting))
}

// Guards: `e.has(Ready)` in retryForRPCs.
func TestConnectDialsNothingAnewWhileASubchannelIsReady(t *testing.T) {
	s := alone(t, "size=2")
	s.rise(s.those(Connecting)[0])
	s.settle()
	s.refuse()
	s.want(Backoff, 1)
	s.wake()
	s.want(Backoff, 1)
}
