package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

// What is known of the limit on each connection makes the endpoint's.
//
// Guards: Endpoint.learnStreamLimit and connection.usable.
func TestTheLimitForSizingIsTheSmallestThatCarriesSomething(t *testing.T) {
	type conn struct {
		first, now int
		health     bool
	}
	for _, c := range []struct {
		name  string
		conns []conn
		limit int
		none  bool
	}{
		{"none known", []conn{{-1, -1, false}}, NoLimit, false},
		{"one", []conn{{50, 50, false}}, 50, false},
		{"the smallest", []conn{{50, 50, false}, {20, 20, false}, {-1, -1, false}}, 20, false},
		{"lowered", []conn{{50, 5, false}}, 50, false},
		{"raised", []conn{{50, 70, false}}, 70, false},
		{"less the health checking", []conn{{50, 50, true}}, 49, false},
		{"no limit, with health checking", []conn{{NoLimit, NoLimit, true}}, NoLimit, false},
		{"nothing on one", []conn{{50, 0, false}, {80, 80, false}}, 80, false},
		{"nothing on all", []conn{{50, 0, false}, {1, 0, true}}, NoLimit, true},
		{"one, and health checking", []conn{{1, 1, true}}, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell(t, "size="+string(rune('0'+len(c.conns))))
			s.connect()
			for i, conn := range c.conns {
				if sub := s.subchannels[i]; conn.first >= 0 {
					s.facts[sub].HealthStream = conn.health
					s.allow(sub, conn.first)
					s.allow(sub, conn.now)
				}
			}
			s.Sample(0, s.now)
			require.Equal(t, c.limit, s.streamLimit.perConnection)
			require.Equal(t, c.none, s.streamLimit.allZero)
		})
	}
}

// A proxy may have sent its own SETTINGS before.
//
// Guards: `if f.LimitStated` in Endpoint.Observe.
func TestALimitThatIsStatedLateIsTheServers(t *testing.T) {
	s := tell(t, "size=1")
	s.connect()
	sub := s.subchannels[0]
	s.facts[sub].Limit = 3
	s.settle()
	require.Equal(t, 3, sub.StreamLimit(), "it holds")
	require.Equal(t, NoLimit, s.streamLimit.perConnection, "it is not what the endpoint is sized by")
	s.allow(sub, 10)
	s.settle()
	require.Equal(t, 10, s.streamLimit.perConnection)
}

// The dials that were under way would be given up, and made again as soon as the limit is stated.
//
// Guards: `now.Sub(s.conn.since) >= ProvenAfter` and `if stated` in learnStreamLimit.
func TestAnEndpointDoesNotShrinkForALimitThatIsNotStatedYet(t *testing.T) {
	s := tell(t, "minSize=1")
	s.connect()
	s.allow(s.subchannels[0], 10)
	s.held = 30
	s.settle()
	require.Equal(t, 4, s.Size())
	s.lose(s.subchannels[0])
	s.settle()
	s.rise(s.those(Connecting)[0])
	s.settle()
	require.Equal(t, 4, s.Size())
	old := s.those(Ready)[0]
	s.allow(old, 10)
	s.all(Connecting, s.rise)
	s.allow(old, 0)
	s.settle()
	require.Equal(t, 10, s.streamLimit.perConnection, "one allows none, the others have not stated any")
	s.lose(old)
	s.pass(ProvenAfter)
	require.Equal(t, NoLimit, s.streamLimit.perConnection, "the server has none any more")
	require.Equal(t, 1, s.Size())
}

// Or the endpoint would shrink just when the server is overloaded, or grow for what more
// connections would not carry.
//
// Guards: `s.StreamLimit() == 0` in learnStreamLimit, and `if e.streamLimit.allZero` in Sample.
func TestAServerThatAllowsNothingNowIsSizedAsBefore(t *testing.T) {
	s := tell(t, "minSize=1")
	s.connect()
	s.allow(s.subchannels[0], 50)
	s.settle()
	s.allow(s.subchannels[0], 0)
	s.held = 1000
	s.settle()
	require.Equal(t, 50, s.streamLimit.perConnection)
	require.Equal(t, 1, s.Size())
	s.allow(s.subchannels[0], 50)
	s.settle()
	require.Equal(t, 4, s.Size())
}

// Guards: `&& connected` in learnStreamLimit.
func TestNothingConnectedIsNotNothingAllowed(t *testing.T) {
	s := tell(t, "minSize=1")
	s.held = 100
	s.settle()
	require.Equal(t, 2, s.Size())
}

// RPCs wait outside only for what will come.
//
// Guards: `room+1 >= demand` in Endpoint.canGrow.
func TestAnEndpointHoldsOnlyIfItWouldGrow(t *testing.T) {
	s := tell(t, "minSize=1 maxSize=4")
	s.connect()
	require.Zero(t, s.did.Coming, "without a limit no connection is ever full")
	s.allow(s.subchannels[0], 50)
	s.settle()
	require.NotZero(t, s.did.Coming)
	s.allow(s.subchannels[0], 5) // five RPCs and one are no reason to grow
	s.settle()
	require.Zero(t, s.did.Coming)
}

// With maxPending for a second, for then more are refused; else as long as a dial may take that does not hang.
//
// Guards: longestHold, hangsAfter and `e.clock.reached` in Endpoint.attempts.
func TestRPCsAreHeldForAnAttemptThatMayComeToSomething(t *testing.T) {
	for pending, longest := range map[int]time.Duration{0: longestHold, config.NoPendingLimit - 1: longestHold, config.NoPendingLimit: hangsAfter} {
		s := tell(t, "minSize=1 maxSize=2")
		s.settings.MaxPending = pending
		s.connect()
		s.allow(s.subchannels[0], 10)
		s.demandOf(11)
		s.want(Connecting, 1)
		require.NotZero(t, s.did.Coming)
		s.pass(longest - 1)
		require.NotZero(t, s.did.Coming)
		s.pass(1)
		require.Zero(t, s.did.Coming)
	}
}

// Guards: `e.outage != nil` in attempts, and `e.outage == nil` in coming.
func TestNoRPCIsHeldForAnAttemptThatFails(t *testing.T) {
	s := tell(t, "minSize=1 maxSize=4")
	s.connect()
	s.allow(s.subchannels[0], 10)
	s.demandOf(9)
	s.want(Connecting, 1)
	require.NotZero(t, s.did.Coming)
	s.refuse()
	require.Zero(t, s.did.Coming)
	s.endBackoff()
	s.want(Connecting, 1)
	require.Zero(t, s.did.Coming)
}

// The rest of the endpoint is dialled when the first connection has proved itself. Without
// this it would get all RPCs that waited.
//
// Guards: Endpoint.outageMayEnd.
func TestRPCsAreHeldForWhatIsDialledWhenAnOutageEnds(t *testing.T) {
	s := tell(t, "size=4")
	s.connect()
	s.allow(s.subchannels[0], 10)
	s.pass(time.Minute)
	s.cut()
	s.refuse()
	s.endBackoff()
	require.Zero(t, s.did.Coming)
	s.all(Connecting, func(sub *Subchannel) { s.rise(sub); s.allow(sub, 10) })
	s.settle()
	s.want(Ready, 1)
	require.NotZero(t, s.did.Coming)
	s.facts[s.those(Ready)[0]].Answered = true
	s.settle()
	s.want(Connecting, 3)
	require.NotZero(t, s.did.Coming, "these are on their way now")
	s.connect()
	require.Zero(t, s.did.Coming)
}

// Another one is READY that was dialled later, so the server is back.
//
// Guards: `e.discard(s)` and `s.dialled.Before(back)` in Endpoint.endOutage.
func TestWhatBacksOffIsDialledAtOnceWhenAnOutageIsOver(t *testing.T) {
	for _, away := range []bool{false, true} {
		s := tell(t, "size=2")
		refused, back := s.subchannels[0], s.subchannels[1]
		s.Failed(refused, 0, "")
		if away {
			s.Failed(back, 0, "")
			s.pass(time.Second)
			s.BackoffOver(refused, 0)
			s.settle()
			refused, back = back, refused
		}
		s.rise(back)
		s.allow(back, 10)
		s.settle()
		require.Equal(t, 1, s.did.Coming)
		s.want(Backoff, 1)
		s.facts[back].Answered = true
		s.settle()
		require.Zero(t, s.Failures())
		if !away {
			require.Equal(t, Backoff, refused.phase, "it was refused while the other one was not")
			continue
		}
		require.Equal(t, Closed, refused.phase)
		s.want(Connecting, 1)
		require.Equal(t, 1, s.did.Coming)
	}
}

// It takes one connection, and no more.
//
// Guards: `!s.instead` in Endpoint.endOutage.
func TestWhatBacksOffIsDialledOnceForAllThatConnect(t *testing.T) {
	s := tell(t, "size=2")
	s.refuse()
	s.pass(time.Second)
	takes := s.subchannels[0]
	s.BackoffOver(takes, 0)
	s.settle()
	for range 3 {
		s.rise(takes)
		s.facts[takes].Answered = true
		s.settle()
		s.refuse()
		s.pass(time.Minute)
		s.lose(takes)
		s.settle()
	}
	require.EqualValues(t, 3, s.subchannels[1].ID(), "it was made in place of the first that was refused")
	require.Equal(t, Backoff, s.subchannels[1].phase)
}

// Held RPCs would have it grow as far as maxSize, whatever is on its way already.
//
// Guards: `n > 0 || e.canGrow(demand)` in Endpoint.coming.
func TestRPCsAreHeldForAllThatMayCome(t *testing.T) {
	s := tell(t, "minSize=1 maxSize=8")
	s.connect()
	s.allow(s.subchannels[0], 10)
	s.demandOf(11)
	s.want(Connecting, 1)
	require.Equal(t, 7, s.did.Coming)
}

// It was refused, but the others are under way still.
//
// Guards: that attempts counts what began before the failure, and `alone` there.
func TestRPCsAreHeldForAttemptsOfBeforeAFailure(t *testing.T) {
	s := tell(t, "size=3")
	s.rise(s.subchannels[0])
	s.allow(s.subchannels[0], 10)
	s.settle()
	require.Equal(t, 2, s.did.Coming)
	s.fail(s.subchannels[1])
	s.settle()
	require.Equal(t, 1, s.did.Coming)
	s.refuse()
	require.Zero(t, s.did.Coming)
	s.endBackoff()
	s.want(Connecting, 1)
	require.Zero(t, s.did.Coming, "such an attempt may fail")
}

// Guards: `s.conn.afterFailure` in Endpoint.outageMayEnd.
func TestRPCsAreNotHeldForAnOutageThatMayNotEnd(t *testing.T) {
	s := tell(t, "size=4")
	s.connect()
	s.allow(s.subchannels[0], 10)
	s.pass(time.Minute)
	s.lose(s.subchannels[3])
	s.settle()
	s.refuse()
	s.want(Ready, 3)
	require.Zero(t, s.did.Coming, "all three were made before the failure")
}

// Guards: `size-e.count(Ready)` in Endpoint.coming.
func TestRPCsAreNotHeldWhereNoneIsDialledWhenAnOutageEnds(t *testing.T) {
	s := tell(t, "size=1")
	s.refuse()
	s.endBackoff()
	s.all(Connecting, func(sub *Subchannel) { s.rise(sub); s.allow(sub, 10) })
	s.settle()
	s.want(Ready, 1)
	require.Zero(t, s.did.Coming)
}

// Guards: `s.renewal() && s.openedFor != ReasonRequests` in attempts.
func TestARenewalIsNoReasonToHoldRPCs(t *testing.T) {
	s := tell(t, "size=2 maxLifetime=1h")
	s.connect()
	s.allow(s.subchannels[0], 10)
	s.pass(time.Hour)
	s.want(Connecting, 1)
	require.Zero(t, s.did.Coming)
}

// Guards: `e.removed` in Endpoint.coming.
func TestARemovedEndpointHoldsNothing(t *testing.T) {
	s := tell(t, "minSize=1 maxSize=4")
	s.connect()
	s.allow(s.subchannels[0], 50)
	s.SetRemoved(true)
	s.settle()
	require.Zero(t, s.did.Coming)
}

// Guards: reportEvery, and `least == l.reported` in reportStreamLimit.
func TestAnotherLimitIsToldOnceASecondAtMost(t *testing.T) {
	s := tell(t, "size=2")
	s.connect()
	limit, known := s.AdvertisedLimit()
	require.Equal(t, NoLimit, limit)
	require.True(t, known)
	s.words()
	s.allow(s.subchannels[1], 50)
	s.settle()
	require.Equal(t, []string{"MAX_CONCURRENT_STREAMS: unlimited→50"}, s.words())
	limit, _ = s.AdvertisedLimit()
	require.Equal(t, 50, limit)
	for n := range 100 {
		s.allow(s.subchannels[1], n)
		s.pass(time.Millisecond)
	}
	require.Empty(t, s.words())
	s.pass(s.did.Next.Sub(s.now))
	require.Equal(t, []string{"MAX_CONCURRENT_STREAMS: 50→99"}, s.words())

	s.pass(time.Second)
	s.allow(s.subchannels[1], NoLimit)
	s.settle()
	require.Equal(t, []string{"MAX_CONCURRENT_STREAMS: 99→unlimited"}, s.words())
	s.cut()
	limit, known = s.AdvertisedLimit()
	require.Equal(t, NoLimit, limit)
	require.True(t, known, "a connection was there")
}
