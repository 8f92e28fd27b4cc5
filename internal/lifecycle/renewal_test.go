package lifecycle

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Guards: `size+renewals` in Endpoint.open, and its Resolve.
func TestASuccessorConnectsFirst(t *testing.T) {
	s := tell(t, "size=4 maxLifetime=1h")
	require.False(t, s.did.Resolve, "nothing is replaced")
	s.connect()
	old := s.those(Ready)
	s.pass(time.Hour)
	s.want(Ready, 4)
	s.want(Connecting, 1) // the budget
	require.True(t, s.did.Resolve, "each renewal asks the resolver")

	s.rise(s.those(Connecting)[0])
	s.settle()
	s.want(Ready, 4)
	require.Equal(t, old[:1], s.did.Drain)
	s.want(Connecting, 1) // the next
}

// Guards: Budget in Endpoint.renewals.
func TestATenthOfManyIsRenewedAtOnce(t *testing.T) {
	s := tell(t, "size=40 maxLifetime=1h")
	s.connect()
	s.pass(time.Hour)
	s.want(Connecting, 4)
	s.want(Ready, 40)
}

func TestTheOldConnectionStaysWhenItsSuccessorCannotConnect(t *testing.T) {
	s := tell(t, "size=4 maxLifetime=1h")
	s.connect()
	s.pass(time.Hour)
	for range 10 {
		s.refuse()
		s.want(Ready, 4)
		s.want(Connecting, 0)
		s.pass(time.Minute)
		s.want(Connecting, 0) // gRPC's backoff runs
		s.endBackoff()
		s.want(Connecting, 1)
	}
	s.connect()
	s.want(Draining, 1)
}

// Guards: the loop over leastUseful in Endpoint.Plan.
func TestWhenADueConnectionIsLostItsSuccessorStandsInForIt(t *testing.T) {
	s := tell(t, "size=4 maxLifetime=1h")
	s.connect()
	s.pass(time.Hour)
	successor := s.those(Connecting)[0]
	s.cut()
	s.want(Connecting, 4)
	require.Contains(t, s.those(Connecting), successor)
	require.Len(t, s.subchannels, 4, "no subchannel too many")
}

// drainTwo is a pool of two whose two predecessors still drain.
func drainTwo(t *testing.T) *story {
	s := tell(t, "size=2 maxLifetime=1h unresponsiveTimeout=2s")
	s.connect()
	for range 2 {
		s.pass(time.Hour)
		s.connect()
		s.connect()
	}
	s.want(Draining, 2)
	return s
}

// Guards: `e.settings.MaxSize - len(e.draining)` in Endpoint.open.
func TestAnEndpointThatDrainsItsMaximumStartsNoRenewal(t *testing.T) {
	s := drainTwo(t)
	s.pass(time.Hour)
	s.want(Connecting, 0)
	s.want(Ready, 2)
	s.finish()
	s.want(Connecting, 1)
}

// Guards: each condition in Endpoint.urgent, and `urgent` in Endpoint.discard.
func TestWhatCannotWaitIsRenewedThoughAsManyDrain(t *testing.T) {
	for reason, happens := range map[string]func(*story, *Subchannel){
		"unresponsive": func(s *story, sub *Subchannel) { require.True(s.t, s.ignored(sub)) },
		"recycle":      func(s *story, sub *Subchannel) { sub.recycle = true },
		"requests": func(s *story, sub *Subchannel) {
			s.requests = requestLimit{limit: 100, last: 100, agreed: 1, proven: true}
			s.facts[sub].RequestsUsed, s.facts[sub].GoAway = true, false
			s.settle()
			s.facts[sub].GoAway = true
		},
		"max_lifetime": func(s *story, sub *Subchannel) { // it is that, and does not serve
			s.now = s.now.Add(time.Hour)
			s.health(sub, HealthNotServing)
		},
	} {
		t.Run(reason, func(t *testing.T) {
			s := drainTwo(t)
			s.said = nil
			sub := s.those(Ready)[0]
			happens(s, sub)
			s.settle()
			s.want(Connecting, 1)
			s.connect()
			require.Equal(t, Draining, sub.phase)
			i := slices.IndexFunc(s.said, func(d Decision) bool { return d.Kind == Renewed })
			require.Equal(t, reason, s.said[i].Reason.String())
			require.Equal(t, sub.ID(), s.said[i].ID)
			require.True(t, s.said[i].Urgent)
		})
	}
}

func TestASuccessorThatDoesNotServeReplacesNothing(t *testing.T) {
	s := tell(t, "size=2 maxLifetime=1h")
	s.connect()
	s.pass(time.Hour)
	successor := s.those(Connecting)[0]
	s.up(successor, 0)
	s.health(successor, HealthNotServing)
	s.settle()
	s.want(Ready, 2)
	s.want(Draining, 0)
	s.health(successor, HealthServing)
	s.settle()
	s.want(Draining, 1)
}

// Guards: the second loop of Endpoint.retireSurplus: a server that does not serve must not
// keep its connections for ever.
func TestWhatDoesNotServeIsReplacedAsSoonAsItsSuccessorIsConnected(t *testing.T) {
	s := tell(t, "size=2 maxLifetime=1h")
	s.connect()
	for _, sub := range s.subchannels {
		s.health(sub, HealthNotServing)
	}
	s.pass(time.Hour)
	old := s.subchannels[0]
	s.up(s.those(Connecting)[0], 0)
	s.settle()
	require.Equal(t, Draining, old.phase)
	s.want(NotServing, 1)
	s.want(Checking, 1)
	s.want(Connecting, 1) // the next
}

// unused lets time pass in which no RPC comes, and every attempt succeeds.
func (s *story) unused(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		s.pass(5 * time.Second)
		s.connect()
		s.finish()
	}
}

// silent is for how long the READY connections were, the one that was used last first.
func (s *story) silent() (d []time.Duration) {
	for _, sub := range s.those(Ready) {
		d = append(d, s.now.Sub(sub.conn.lastUse))
	}
	slices.Sort(d)
	return d
}

// Guards: `a.well()` in Endpoint.markRefreshIdle: connections whose server does not serve would be
// refreshed instead of those whose server does.
func TestOfWhatMinSizeCallsForThoseThatServeAreRefreshedFirst(t *testing.T) {
	s := tell(t, "minSize=2 maxSize=4 targetStreams=10 idleTimeout=160s")
	s.demandOf(40)
	s.connect()
	s.want(Ready, 4)
	s.now = s.now.Add(time.Second)
	for _, sub := range s.subchannels[2:] {
		s.facts[sub].Started++ // used last
		s.health(sub, HealthNotServing)
	}
	s.unused(165 * time.Second)
	require.Less(t, s.silent()[0], 160*time.Second)
	s.want(NotServing, 2)
}

// Guards: `!s.recycle` in Subchannel.well: what is to be replaced anyway is not what stays.
func TestOfWhatMinSizeCallsForThoseThatAreNotRecycledAreRefreshed(t *testing.T) {
	s := tell(t, "minSize=1 maxSize=2 targetStreams=10 idleTimeout=160s")
	s.demandOf(16)
	s.connect()
	s.pass(10 * time.Second)
	recycled, other := s.subchannels[1], s.subchannels[0]
	s.facts[recycled].Started++ // used last
	recycled.recycle = true
	s.settle()
	require.False(t, recycled.conn.refreshIdle)
	require.True(t, other.conn.refreshIdle)
}

// Guards: `max(called, 1)` in Endpoint.markRefreshIdle.
func TestTheOneThatStaysWhileOtherEndpointsAreUsedIsRefreshed(t *testing.T) {
	s := tell(t, "minSize=0 idleTimeout=160s")
	s.connect()
	for range 100 {
		s.unused(10 * time.Second)
		require.Len(t, s.silent(), 1)
		require.Less(t, s.silent()[0], 160*time.Second)
	}
}

// Guards: `s.conn.refreshIdle = false` in Endpoint.markRefreshIdle.
func TestWhatWillBeClosedWhenTheWindowHasPassedIsNotRefreshed(t *testing.T) {
	s := tell(t, "minSize=1 maxSize=4 targetStreams=10 idleTimeout=160s")
	s.demandOf(30)
	s.connect()
	s.said = nil
	s.unused(175 * time.Second)
	require.Equal(t, map[string]int{"renewed idle": 1, "opened idle": 1, "retired shrink": 3, "shrank start": 1}, s.tally())
}
