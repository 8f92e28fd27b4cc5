package balancer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/internal/settings"
)

// left returns how many connections have left service, by why.
func (s *story) left() map[string]int {
	left := make(map[string]int)
	for why := range reasons {
		if n := s.went[why]; n > 0 {
			left[why.String()] = n
		}
	}
	return left
}

// departures are stories that begin with four connections, a minute old; one of them leaves.
var departures = []struct {
	reason   string
	settings string
	happens  func(s *story)
}{
	{"idle", `{"size":4,"maxLifetime":"0s","idleTimeout":"100s"}`, func(s *story) {
		s.slots[1].used = start
		s.pass(87*time.Second + 500*time.Millisecond - time.Minute)
	}},
	{"max_lifetime", `{"size":4,"maxLifetime":"100s"}`, func(s *story) {
		s.slots[1].since = start.Add(-time.Minute)
		s.settle()
	}},
	{"unresponsive", `{"size":4,"unresponsiveTimeout":"1s"}`, func(s *story) {
		s.suspect(s.slots[1], s.now)
		s.settle()
	}},
	{"recycle", `{"size":4}`, func(s *story) {
		s.slots[1].stale = true
		s.settle()
	}},
	{"lost", `{"size":4}`, func(s *story) {
		s.lost(s.slots[1], 0, s.now)
		s.settle()
	}},
	{"requests", `{"size":4}`, func(s *story) {
		s.slots[1].worn = true
		s.lost(s.slots[1], 0, s.now)
		s.settle()
	}},
}

func TestAConnectionLeavesForAReasonAndItsSuccessorKnows(t *testing.T) {
	for _, c := range departures {
		t.Run(c.reason, func(t *testing.T) {
			s := tell(t, c.settings)
			s.connect()
			s.pass(time.Minute)
			for _, sl := range s.slots[:1] { // used, all but one
				sl.used = s.now
			}
			for _, sl := range s.slots[2:] {
				sl.used = s.now
			}
			c.happens(s)
			s.want(dialing, 1)
			require.Equal(t, c.reason, s.in(dialing)[0].why.String())
			s.connect()
			require.Equal(t, map[string]int{c.reason: 1}, s.left())
			for _, sl := range s.in(draining) {
				require.Equal(t, c.reason, sl.went.String())
			}
			require.Equal(t, 4, s.opened[forStart])
			require.Zero(t, s.grown)
		})
	}
}

func TestAConnectionThatIsNotReplacedLeavesForAReason(t *testing.T) {
	for _, c := range []struct {
		reason   string
		settings string
		happens  func(s *story)
	}{
		{"shrink", `{"minSize":1,"maxSize":4,"targetStreams":1,"idleTimeout":"16s","maxLifetime":"0s"}`, func(s *story) {
			for range 20 {
				s.sample(s.now.Add(time.Second), 1, quiet)
				s.pass(time.Second)
			}
		}},
		{"settings", `{"size":4}`, func(s *story) {
			cfg := *s.cfg
			cfg.MinSize, cfg.MaxSize = 2, 2
			s.adopt(&cfg, s.now)
			s.settle()
		}},
		{"endpoint_removed", `{"size":4,"maxLifetime":"1m"}`, func(s *story) {
			s.removed = true
			s.pass(time.Hour) // they are due besides
		}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s := tell(t, c.settings)
			if s.cfg.MinSize == 1 {
				s.sample(s.now, 3, quiet)
				s.settle()
			}
			s.connect()
			s.want(ready, 4)
			c.happens(s)
			require.Equal(t, map[string]int{c.reason: 4 - s.count(ready)}, s.left())
		})
	}
}

func quiet(*slot) (int, uint32) { return 0, 0 }

func TestWhatDemandAddsIsGrowthAndWhatMinSizeAddsIsNot(t *testing.T) {
	s := tell(t, `{"minSize":2,"maxSize":8,"targetStreams":10}`)
	s.connect()
	require.Zero(t, s.grown)
	s.sample(s.now, 40, quiet)
	s.settle()
	s.connect()
	require.Equal(t, 3, s.grown, "⌈1.25 × 40 ÷ 10⌉ are wanted, 2 were there")
	require.Equal(t, 3, s.opened[forGrowth])

	cfg := *s.cfg
	cfg.MinSize = 7
	s.adopt(&cfg, s.now)
	s.settle()
	s.connect()
	require.Equal(t, 3, s.grown)
	require.Equal(t, 2+2, s.opened[forStart])
}

// Guards: `s.why.renews()` in countFailure.
func TestARenewalThatFailsIsCountedAndOthersAreNot(t *testing.T) {
	s := tell(t, `{"size":2,"maxLifetime":"1m"}`)
	s.fail(s.slots[0], 0)
	s.settle()
	require.Equal(t, 1, s.failed)
	require.Zero(t, s.renewalsFailed)
	s.rise(s.slots[1], s.now)
	s.rested()
	s.connect()
	s.want(ready, 2)
	s.pass(time.Minute)
	s.refuse()
	require.Equal(t, 2, s.failed)
	require.Equal(t, 1, s.renewalsFailed)
	s.want(ready, 2)
	require.Empty(t, s.left())
}

// Guards: endpoint.inherit.
func TestTheSuccessorOfALostConnectionIsNoRenewal(t *testing.T) {
	s := tell(t, `{"size":1,"maxLifetime":"1m"}`)
	s.connect()
	s.pass(time.Minute)
	successor := s.in(dialing)[0]
	require.Equal(t, forAge, successor.why)
	s.lost(s.slots[0], 0, s.now)
	s.settle()
	require.Equal(t, forLoss, successor.why)
	s.fail(successor, 0)
	require.Equal(t, 1, s.failed)
	require.Zero(t, s.renewalsFailed)
}

// Guards: `s.stale = …, false` in slot.dial.
func TestAConnectionThatIsMadeAfterARecycleStays(t *testing.T) {
	s := tell(t, `{"size":1,"maxLifetime":"0s"}`)
	s.connect()
	s.pass(time.Minute)
	s.recycle()
	s.lost(s.slots[0], 0, s.now)
	s.settle()
	s.connect()
	s.want(ready, 1)
	s.want(dialing, 0)
}

// Guards: that dialling ones are told, too: what they reach may be what the caller wants
// to leave.
func TestARecycleReplacesAllThatThereAreAndNoMore(t *testing.T) {
	s := tell(t, `{"size":20,"maxLifetime":"0s"}`)
	for _, sl := range s.slots[:19] {
		s.rise(sl, s.now)
	}
	first := append([]*slot{}, s.slots...)
	require.Equal(t, 19, s.recycle(), "the twentieth is on its way")
	s.settle()
	s.want(dialing, 1+2)
	for range 20 {
		s.connect()
		require.LessOrEqual(t, len(s.slots), 20+settings.Budget(20))
		require.GreaterOrEqual(t, s.count(ready), 19)
		s.finish()
	}
	for _, sl := range first {
		assert.Equal(t, closed, sl.phase)
	}
	s.want(ready, 20)
	require.Equal(t, map[string]int{"recycle": 20}, s.left())
	require.Equal(t, 40, len(s.gone)+len(first)+len(s.slots))
}
