package lifecycle

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Guards: Endpoint.endedAfter.
func TestTwoEndsThatAgreeMakeALimit(t *testing.T) {
	final := func(took int) End { return End{Final: true, Took: took} }
	for _, c := range []struct {
		name string
		ends []End
		want int
	}{
		{"one end", []End{final(1000)}, 0},
		{"two that agree", []End{final(1000), final(1000)}, 1000},
		{"two that do not", []End{final(1000), final(999)}, 0},
		{"three of which the last two do", []End{final(10), final(1000), final(1000)}, 1000},
		{"two that agree, with another between them", []End{final(1000), final(10), final(1000)}, 0},
		{"no end by the server", []End{final(1000), {Took: 1000}}, 0},
		{"that changes nothing", []End{final(1000), {}, final(1000)}, 1000},
		{"too few to tell from a restart", []End{final(2), final(2)}, 0},
		{"just enough", []End{final(3), final(3)}, 3},
		{"fewer refute nothing", []End{final(1000), final(1000), final(10)}, 1000},
		{"more refute it", []End{final(1000), final(1000), final(1001)}, 0},
		{"another limit", []End{final(1000), final(1000), final(2000), final(2000)}, 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e Endpoint
			for _, end := range c.ends {
				e.endedAfter(new(connection), end, time.Time{})
			}
			assert.Equal(t, c.want, e.requests.limit)
		})
	}
}

// A connection that was made under the limit may carry more, too.
//
// Guards: `e.liftRequestLimit()` in endedAfter.
func TestAServerThatTakesMoreLiftsTheLimitOfAllConnections(t *testing.T) {
	s, a := learned(t)
	b := s.subchannels[1]
	s.facts[b].Answered = true
	s.end(b, End{Final: true, Took: 101})
	s.settle()
	require.True(t, s.lifted())
	require.Zero(t, a.RequestLimit())
	require.Equal(t, 101, s.requests.last)
}

// Connections of long streams may carry equally many when a restart ends them, for RPCs are spread.
//
// Guards: `now.Sub(c.requests.startedAt) < longestEnd` in teaches.
func TestEndsLongAfterTheLastRPCBeganMakeNoLimit(t *testing.T) {
	for after, limit := range map[time.Duration]int{longestEnd - 1: 5, longestEnd: 0} {
		s := tell(t, "size=2")
		s.connect()
		for _, sub := range s.subchannels {
			s.facts[sub].Answered, s.facts[sub].Started, s.facts[sub].InFlight = true, 5, 5
		}
		s.settle()
		s.pass(after)
		for _, sub := range s.subchannels {
			s.end(sub, End{Final: true, Took: 5, InFlight: 5})
		}
		s.settle()
		require.Equal(t, limit, s.requests.limit, after)
	}
}

// lifted reports whether the last plan lifted the limit.
func (s *story) lifted() bool { return s.did.RequestLimits && s.requests.limit == 0 }

// learned is a pool of two whose server ends connections after 100 RPCs, as it has learned.
// Both are connected since.
func learned(t *testing.T) (*story, *Subchannel) {
	s := tell(t, "size=2")
	s.connect()
	s.pass(time.Minute)
	for range 2 {
		for _, sub := range s.subchannels {
			s.facts[sub].Answered = true
			s.end(sub, End{Final: true, Took: 100})
		}
		s.settle()
		s.connect()
	}
	for _, sub := range s.subchannels {
		require.Equal(t, 100, sub.RequestLimit())
	}
	s.said = nil
	return s, s.subchannels[0]
}

// Guards: the first condition in checkRequestLimit.
func TestALimitHoldsForConnectionsThatHaveNotCarriedAsMany(t *testing.T) {
	s := tell(t, "size=3")
	s.connect()
	s.pass(time.Minute)
	first, second, third := s.subchannels[0], s.subchannels[1], s.subchannels[2]
	s.facts[second].Started, s.facts[third].Started = 99, 100
	for range 2 {
		s.facts[first].Answered = true
		s.end(first, End{Final: true, Took: 100})
		s.settle()
		s.connect()
	}
	require.Equal(t, 100, first.RequestLimit())
	require.Equal(t, 100, second.RequestLimit())
	require.Zero(t, third.RequestLimit())
}

// endedTogether is an endpoint whose server ended three connections after 100 RPCs each.
func endedTogether(t *testing.T) *story {
	t.Helper()
	s := tell(t, "size=3")
	s.connect()
	s.pass(time.Minute)
	for _, sub := range slices.Clone(s.subchannels) {
		s.facts[sub].Answered = true
		s.end(sub, End{Final: true, Took: 100})
		s.settle()
	}
	return s
}

// A restart may end all connections when they have carried equally many.
//
// Guards: `!c.since.Before(r.since)` in endedAfter.
func TestOnlyAConnectionThatWasMadeUnderTheLimitProvesIt(t *testing.T) {
	s := endedTogether(t)
	require.Equal(t, 100, s.requests.limit)
	require.False(t, s.requests.proven)
}

// Guards: `e.usedUp(s.conn)` in Endpoint.cannotStay.
func TestAConnectionThatCarriedAsManyIsRenewed(t *testing.T) {
	s, used := learned(t)
	s.facts[used].RequestsUsed = true
	s.settle()
	s.want(Connecting, 1)
	require.Equal(t, ReasonRequests, s.those(Connecting)[0].openedFor)
	require.NotZero(t, s.did.Coming, "RPCs may wait for it")
	s.connect()
	require.Equal(t, Draining, used.phase)
	s.want(Ready, 2)
}

// Guards: `e.requests.proven` in awaitsEnd and usedUp.
func TestNoRPCIsHeldForALimitThatIsNotProven(t *testing.T) {
	s, used := learned(t)
	s.requests.proven = false
	s.facts[used].RequestsUsed = true
	s.settle()
	require.Zero(t, s.did.Coming)
	require.False(t, used.AwaitsEnd())
	s.want(Connecting, 0)
	s.want(Ready, 2)
}

// Those of the connections that a server ended together come back one after the other: the first
// would get all that waited.
//
// Guards: `e.requests.limit == 0` in Endpoint.coming.
func TestRPCsAreHeldForALostConnectionWhereTheLimitMayBeTrue(t *testing.T) {
	s := endedTogether(t)
	s.rise(s.those(Connecting)[0])
	s.settle()
	require.False(t, s.requests.proven)
	require.NotZero(t, s.did.Coming)
	s.connect()
	require.Zero(t, s.did.Coming)
}

// Guards: `c.facts.GoAway` in checkRequestLimit.
func TestALimitStaysWhereTheServerSaysGOAWAY(t *testing.T) {
	s, used := learned(t)
	s.facts[used].RequestsUsed = true
	s.settle()
	s.facts[used].GoAway = true
	s.pass(time.Hour)
	require.False(t, s.lifted())
	require.Equal(t, 100, s.requests.limit)
}

// Guards: `min(time.Duration(r.agreed)*perEnd, longest)`, `*r = requestLimit{limit: end.Took, since: now}`, and
// `c.requests.most == r.limit` in endedAfter.
func TestTheServerMayTakeLongerToEndAConnectionTheOftenerItDidSo(t *testing.T) {
	var e Endpoint
	ends := func(n, took int) {
		for range n {
			e.endedAfter(new(connection), End{Final: true, Took: took}, time.Time{})
		}
	}
	ends(2, 100)
	require.Equal(t, perEnd, e.requests.endsWithin())
	ends(2, 100)
	require.Equal(t, 3*perEnd, e.requests.endsWithin())
	ends(1000, 100)
	require.Equal(t, longestHold, e.requests.endsWithin(), "not proven: they may be of one restart")
	e.requests.proven = true
	require.Equal(t, longestEnd, e.requests.endsWithin())
	ends(2, 50)
	require.Equal(t, perEnd, e.requests.endsWithin(), "another number")
}

// Guards: requestLimit.endsWithin, and that checkRequestLimit waits for it.
func TestAUsedConnectionThatIsNotEndedRefutesTheLimit(t *testing.T) {
	s, used := learned(t)
	s.facts[used].RequestsUsed = true
	s.settle()
	within := s.requests.endsWithin()
	require.Equal(t, within, s.did.Next.Sub(s.now))
	s.pass(within - 1)
	require.False(t, s.lifted())
	s.pass(1)
	require.True(t, s.lifted())
	for sub := range s.Subchannels() {
		require.Zero(t, sub.RequestLimit())
		require.False(t, sub.Connected() && sub.conn.requestsUsed())
	}
}

// Guards: e.Subchannels in checkRequestLimit: those that drain, too.
func TestAUsedConnectionThatDrainsRefutesTheLimitInTime(t *testing.T) {
	s, used := learned(t)
	s.facts[used].RequestsUsed = true
	s.settle()
	s.connect()
	require.Equal(t, Draining, used.phase)
	s.pass(s.requests.endsWithin())
	require.True(t, s.lifted())
	require.Zero(t, used.RequestLimit())
}

// Guards: `c.requests.reachedAt = time.Time{}` in checkRequestLimit, and `awaitEnd != c.requests.awaitEnd` there.
func TestAConnectionOnWhichStartsWereTakenBackIsUsedNoMore(t *testing.T) {
	s, used := learned(t)
	s.requests.agreed = 10
	s.facts[used].RequestsUsed = true
	s.settle()
	require.True(t, used.AwaitsEnd())
	s.pass(longestHold)
	require.False(t, used.AwaitsEnd())
	s.facts[used].RequestsUsed = false
	s.pass(s.requests.endsWithin() - longestHold)
	require.True(t, used.AwaitsEnd())
	require.False(t, s.lifted())
	require.Equal(t, 100, s.requests.limit)
	s.want(Ready, 2)
	require.Len(t, s.subchannels, 2, "no renewal is called for")
}

// Guards: refuteDrained.
func TestAUsedConnectionThatHasDrainedWithoutGOAWAYRefutesTheLimit(t *testing.T) {
	for _, goAway := range []bool{false, true} {
		s, used := learned(t)
		s.facts[used].RequestsUsed = true
		s.settle()
		s.connect()
		s.facts[used].GoAway = goAway
		s.finish()
		require.Equal(t, Closed, used.phase)
		require.Equal(t, !goAway, s.lifted())
		require.Equal(t, goAway, s.requests.limit > 0)
	}
}

// Guards: the condition in refuteDrained.
func TestADrainedConnectionThatCarriedLessRefutesNothing(t *testing.T) {
	s, sub := learned(t)
	sub.recycle = true
	s.settle()
	s.connect()
	require.Equal(t, Draining, sub.phase)
	s.finish()
	require.False(t, s.lifted())
	require.Equal(t, 100, s.requests.limit)
}

// Guards: `end.Final` and `end.Took >= e.requests.limit` in Endpoint.Lost.
func TestAConnectionThatTheServerEndsEarlierIsLost(t *testing.T) {
	s, sub := learned(t)
	s.facts[sub].Answered = true
	s.end(sub, End{GoAway: "GOAWAY, code: INTERNAL_ERROR", Took: 100})
	require.Equal(t, ReasonLost, sub.openedFor, "by an error")
	s.settle()
	s.connect()
	s.facts[sub].Answered = true
	s.end(sub, End{Final: true, Took: 99})
	require.Equal(t, ReasonLost, sub.openedFor)
	s.settle()
	s.connect()
	s.words()
	s.facts[sub].Answered = true
	s.end(sub, End{Final: true, Took: 100})
	s.settle()
	require.Equal(t, []string{"subchannel 1 carried as many RPCs as the server takes on a connection, after 0s"}, s.words())
	require.Equal(t, ReasonRequests, sub.openedFor)
	require.NotZero(t, s.did.Coming, "a connection is on its way")
}
