package lifecycle

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// departures are stories of four connections, a minute old, of which the second leaves.
var departures = []struct {
	reason   string
	settings string
	happens  func(s *story)
}{
	{"idle", "size=4 idleTimeout=100s", func(s *story) {
		s.pass(87*time.Second + 500*time.Millisecond - time.Minute)
	}},
	{"max_lifetime", "size=4 maxLifetime=100s", func(s *story) {
		s.subchannels[1].conn.since, s.subchannels[1].conn.life = start.Add(-time.Minute), expiry{}
		s.settle()
	}},
	{"unresponsive", "size=4 unresponsiveTimeout=1s", func(s *story) {
		s.ignored(s.subchannels[1])
		s.settle()
	}},
	{"recycle", "size=4", func(s *story) {
		s.subchannels[1].recycle = true
		s.settle()
	}},
	{"lost", "size=4", func(s *story) {
		s.lose(s.subchannels[1])
		s.settle()
	}},
	{"requests", "size=4", func(s *story) {
		s.requests.limit = 100
		s.end(s.subchannels[1], End{Final: true, Took: 100})
		s.settle()
	}},
}

// Guards: replacedFor, retireReason, openReason, and `s.openedFor = …` in decideLost.
func TestAConnectionLeavesForAReasonAndItsSuccessorIsOpenedForIt(t *testing.T) {
	for _, c := range departures {
		t.Run(c.reason, func(t *testing.T) {
			s := tell(t, c.settings)
			s.connect()
			require.Equal(t, map[string]int{"grew start": 1, "opened start": 4}, s.tally())
			s.pass(time.Minute)
			for i, sub := range s.subchannels { // used, all but the second
				if i != 1 {
					s.facts[sub].Started++
				}
			}
			c.happens(s)
			s.want(Connecting, 1)
			require.Equal(t, c.reason, s.those(Connecting)[0].openedFor.String())
			s.connect()
			how := "renewed "
			if c.reason == "lost" || c.reason == "requests" {
				how = "lost "
			}
			n := s.tally()
			require.Equal(t, 1, n[how+c.reason])
			require.Equal(t, 1, n["opened "+c.reason])
			for _, sub := range s.those(Draining) {
				require.Equal(t, c.reason, sub.conn.retiredFor.String())
			}
			require.Zero(t, n["grew start"])
		})
	}
}

// Guards: `surplus` in Endpoint.resize, and `e.sizing.shrinkBy > 0` in retireReason.
func TestAConnectionThatIsNotReplacedLeavesForAReason(t *testing.T) {
	for _, c := range []struct {
		reason   string
		settings string
		happens  func(s *story)
	}{
		{"shrink", "minSize=1 maxSize=4 targetStreams=1 idleTimeout=16s", func(s *story) {
			s.held = 1
			for range 20 {
				s.pass(time.Second)
			}
		}},
		{"settings", "size=4", func(s *story) {
			s.SetSettings(parseSettings(s.t, s.settings, "size=2"), s.now)
			s.settle()
		}},
		{"endpoint_removed", "size=4 maxLifetime=1m", func(s *story) {
			s.SetRemoved(true)
			s.pass(time.Hour) // they are due besides
		}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s := tell(t, c.settings)
			s.demandOf(3)
			s.connect()
			s.want(Ready, 4)
			s.said = nil
			c.happens(s)
			n := s.tally()
			require.Equal(t, 4-s.count(Ready), n["retired "+c.reason])
			for what := range n {
				require.Contains(t, []string{"retired " + c.reason, "shrank start"}, what)
			}
		})
	}
}

// Guards: base in Endpoint.resize, openReason and decideSize.
func TestWhatDemandAddsIsGrowthAndWhatMinSizeAddsIsNot(t *testing.T) {
	s := tell(t, "minSize=2 maxSize=8 targetStreams=10 idleTimeout=16s")
	grown := func() (n int) {
		for _, d := range s.said {
			n += d.Count
		}
		return n
	}
	s.connect()
	require.Zero(t, grown())
	s.tally()
	s.held = 40
	s.settle()
	s.connect()
	require.Equal(t, 3, grown(), "⌈1.25 × 40 ÷ 10⌉ are called for, 2 were there")
	require.Equal(t, map[string]int{"grew start": 1, "opened growth": 3}, s.tally())

	s.SetSettings(parseSettings(t, s.settings, "minSize=7"), s.now)
	s.settle()
	s.connect()
	require.Zero(t, grown())
	require.Equal(t, map[string]int{"grew start": 1, "opened start": 2}, s.tally())
}

// Guards: Reason and Renewal of AttemptFailed in countFailure, and the words of decideFailed.
func TestARenewalThatFailsIsToldFromAFirstAttempt(t *testing.T) {
	s := tell(t, "size=2 maxLifetime=1m")
	s.said = nil
	s.fail(s.subchannels[0])
	s.settle()
	require.Equal(t, []Decision{
		{Kind: Failed, ID: 1, Text: "no connection to a:1", Cause: "connection refused"},
		{Kind: AttemptFailed, ID: 1, Reason: ReasonStart},
	}, s.said)
	s.rise(s.subchannels[1])
	s.endBackoff()
	s.connect()
	s.want(Ready, 2)
	s.pass(time.Minute)
	s.said = nil
	s.refuse()
	require.Equal(t, []Decision{
		{Kind: Failed, ID: 3, Text: "no renewal (max_lifetime): no connection to a:1", Cause: "connection refused"},
		{Kind: AttemptFailed, ID: 3, Reason: ReasonMaxLifetime, Renewal: true},
	}, s.said)
	s.want(Ready, 2)
}

// Guards: Endpoint.reassignReasons.
func TestTheSuccessorOfALostConnectionIsNoRenewal(t *testing.T) {
	s := tell(t, "size=1 maxLifetime=1m")
	s.connect()
	s.pass(time.Minute)
	successor := s.those(Connecting)[0]
	require.True(t, successor.renewal())
	s.lose(s.subchannels[0])
	s.settle()
	require.Equal(t, ReasonLost, successor.openedFor)
	require.False(t, successor.renewal())
	s.said = nil
	s.fail(successor)
	require.Equal(t, ReasonLost, s.next.Decisions[1].Reason)
	require.False(t, s.next.Decisions[1].Renewal)
}

// Guards: `!s.limitEnded` in Subchannel.renewal.
func TestWhatStandsInForAConnectionThatTheServerEndedIsNoRenewal(t *testing.T) {
	s := tell(t, "size=1")
	s.requests.limit = 100
	s.connect()
	s.pass(time.Minute)
	sub := s.subchannels[0]
	s.end(sub, End{Final: true, Took: 100})
	require.False(t, sub.renewal())
	require.Equal(t, ReasonRequests, sub.openedFor)
}

// Guards: `s.recycle, … = …, false` in Subchannel.dial.
func TestAConnectionThatIsMadeAfterARecycleStays(t *testing.T) {
	s := tell(t, "size=1")
	s.connect()
	s.pass(time.Minute)
	require.Equal(t, 1, s.Recycle())
	s.lose(s.subchannels[0])
	s.settle()
	s.connect()
	s.want(Ready, 1)
	s.want(Connecting, 0)
}

// Guards: that those which connect are recycled, too: what they reach may be what the caller
// wants to leave.
func TestARecycleReplacesAllThatThereAreAndNoMore(t *testing.T) {
	s := tell(t, "size=20")
	closed := 0
	s.each = func(p Plan) { closed += len(p.Close) }
	for _, sub := range s.subchannels[:19] {
		s.rise(sub)
	}
	first := append([]*Subchannel{}, s.subchannels...)
	require.Equal(t, 19, s.Recycle(), "the twentieth is on its way")
	s.settle()
	s.want(Connecting, 1+2)
	for range 20 {
		s.connect()
		require.LessOrEqual(t, len(s.subchannels), 20+Budget(20))
		require.GreaterOrEqual(t, s.count(Ready), 19)
		s.finish()
	}
	for _, sub := range first {
		assert.Equal(t, Closed, sub.phase)
	}
	s.want(Ready, 20)
	require.Equal(t, 20, closed)
	require.Equal(t, 20, s.tally()["renewed recycle"])
}

// Guards: the order of the reasons.
func TestEachReasonIsOneToOpenOrToRetireOrBoth(t *testing.T) {
	names := make(map[string]bool)
	for r := range Reasons {
		names[r.String()] = true
		assert.Equal(t, r != ReasonStart && r != ReasonGrowth, r.Retires(), fmt.Sprint(r))
		opens := !names["shrink"]
		assert.Equal(t, opens && r.Retires(), r.renews(), fmt.Sprint(r))
	}
	assert.Len(t, names, int(Reasons))
}
