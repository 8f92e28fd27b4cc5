package balancer

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/connectivity"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/settings"
)

// A storm drives an endpoint with random events and checks after each plan what
// must always hold.
type storm struct {
	*testing.T
	*endpoint
	rng *rand.Rand
	now time.Time

	lastSize, dropped int // by shrinking, since none drained
}

func TestInvariantsHoldUnderRandomEvents(t *testing.T) {
	for seed := range uint64(200) {
		s := newStorm(t, seed)
		for range 400 {
			s.event()
			s.check()
		}
		s.calm()
	}
}

func newStorm(t *testing.T, seed uint64) *storm {
	rng := rand.New(rand.NewPCG(seed, 0))
	size := 1 + rng.IntN(30)
	e := &endpoint{
		addresses: 1 + rng.IntN(3),
		cfg: &config.Config{
			MinSize: rng.IntN(size + 1), MaxSize: size, TargetStreams: 10,
			MaxLifetime: 10 * time.Second, LifetimeJitter: 0.25, IdleTimeout: 20 * time.Second,
		},
		limit:  noLimit,
		allows: noLimit,
		awake:  true,
		random: rng.Float64,
	}
	e.newSlot = func() *slot { return &slot{} }
	s := &storm{T: t, endpoint: e, rng: rng, now: start}
	s.check()
	return s
}

// event makes one thing happen that gRPC or time could do.
func (s *storm) event() {
	if s.rng.IntN(20) == 0 {
		demand := s.rng.IntN(300)
		s.sample(s.now, 0, func(sl *slot) (int, uint32) { return demand / s.cfg.MaxSize, s.rng.Uint32N(2) })
	}
	if s.rng.IntN(200) == 0 {
		s.removed = !s.removed
	}
	if s.rng.IntN(3) == 0 {
		s.now = s.now.Add(time.Duration(s.rng.Int64N(int64(3 * time.Second))))
		return
	}
	all := append(append([]*slot{}, s.slots...), s.leaving...)
	if len(all) == 0 {
		return
	}
	sl := all[s.rng.IntN(len(all))]
	switch sl.phase {
	case dialing:
		lane := s.rng.IntN(len(sl.race.lanes))
		switch n := s.rng.IntN(5); {
		case sl.race.lanes[lane] == laneResting:
			s.rest(sl, lane)
		case sl.race.lanes[lane] == laneIdle:
		case n == 0:
			s.fail(sl, lane)
		case n == 1:
			s.lost(sl, lane, s.now)
		default:
			s.up(sl, lane, s.now)
		}
	case resting:
		s.rest(sl, s.rng.IntN(len(sl.race.lanes)))
	case checking:
		switch s.rng.IntN(4) {
		case 0:
			s.lost(sl, sl.race.winner, s.now)
		case 1:
			s.checked(sl, connectivity.TransientFailure)
		default:
			s.checked(sl, connectivity.Ready)
		}
	case ready:
		switch s.rng.IntN(12) {
		case 0, 1, 2:
			s.lost(sl, sl.race.winner, s.now)
		case 3:
			s.checked(sl, connectivity.TransientFailure)
		}
	case draining:
		if s.rng.IntN(2) == 0 {
			s.reap(func(o *slot) bool { return o == sl })
		} else {
			s.lost(sl, sl.race.winner, s.now)
		}
	}
}

// check plans, and holds the plan and its result against the promises.
func (s *storm) check() {
	size, maxSize := s.size(), s.cfg.MaxSize
	wasReady, wasAlone := s.count(ready), s.attempt != nil && s.attempt.phase == dialing
	do := s.plan(s.now)
	again := s.plan(s.now)

	require.True(s, again.none(), "a plan leaves nothing to plan: %+v", again)
	require.GreaterOrEqual(s, s.count(ready), min(wasReady, size), "subpool itself never takes READY below the size")
	require.LessOrEqual(s, s.count(ready), size)
	require.GreaterOrEqual(s, len(s.slots), size)
	require.LessOrEqual(s, len(s.slots), size+settings.Budget(size), "connections ≤ size + budget")
	s.dropped += max(0, s.lastSize-size)
	s.lastSize = size
	require.LessOrEqual(s, len(s.leaving), maxSize+s.dropped, "draining ≤ maxSize + dropped by shrinking")
	if len(s.leaving) == 0 {
		s.dropped = 0
	}
	left := s.count(checking) + s.count(ready)
	for why := range reasons {
		left += s.went[why] - s.opened[why]
	}
	require.Zero(s, left, "each connection that was opened is there or has left for a reason")
	s.notes = nil
	if s.failures > 0 {
		begun := 0
		for _, d := range do.dial {
			if d.lane == 0 { // the others belong to attempts that were begun before
				begun++
			}
		}
		require.LessOrEqual(s, begun, 1, "after a failure one attempt at a time")
		require.False(s, wasAlone && begun > 0, "after a failure one attempt at a time")
	}
	for _, sl := range s.slots {
		require.False(s, sl.phase == draining || sl.phase == closed, "a retired slot still counts")
	}
	for _, sl := range s.leaving {
		require.True(s, sl.phase == draining)
	}
	if at, ok := s.deadline(s.now); ok {
		require.True(s, at.After(s.now), "a deadline in the past would spin")
	}
}

// calm mends everything; the endpoint must come back by its own deadlines.
func (s *storm) calm() {
	s.removed = false
	for range 1000 {
		for _, sl := range append(append([]*slot{}, s.slots...), s.leaving...) {
			for lane, l := range sl.race.lanes {
				s.rest(sl, lane)
				if l == laneDialing {
					s.up(sl, lane, s.now)
				}
			}
			s.checked(sl, connectivity.Ready)
		}
		s.reap(func(*slot) bool { return true })
		s.check()
		if s.failures == 0 && s.count(ready) == s.size() {
			return
		}
		if at, ok := s.deadline(s.now); ok && s.count(dialing) == 0 {
			s.now = at
			s.check()
		}
	}
	require.Fail(s, "the endpoint is stuck", "%+v", s.attempts)
}
