package lifecycle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

// A storm drives an endpoint with random events, and checks all plans against the promises.
type storm struct {
	*story
	rng *rand.Rand
	promises
}

// The first seeds had failed.
//
// Guards: `e.discardSurplus(size)` in Endpoint.Plan.
func TestPromisesHoldUnderRandomEvents(t *testing.T) {
	seeds := []uint64{2702, 3445, 5409}
	for seed := range uint64(200) {
		seeds = append(seeds, seed)
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := newStorm(t, seed)
			for range 400 {
				s.event()
				s.step()
			}
			s.calm()
		})
	}
}

func newStorm(t *testing.T, seed uint64) *storm {
	rng := rand.New(rand.NewPCG(seed, 0))
	settings := config.Config{
		MaxSize: 1 + rng.IntN(30), TargetStreams: 10, UnresponsiveTimeout: time.Second,
		LifetimeJitter: 0.25, MaxLifetime: 10 * time.Second, IdleTimeout: 20 * time.Second, DrainTimeout: 4 * time.Second,
	}
	settings.MinSize = rng.IntN(settings.MaxSize + 1)
	for _, timeout := range []*time.Duration{&settings.MaxLifetime, &settings.IdleTimeout, &settings.DrainTimeout} {
		if rng.IntN(4) == 0 {
			*timeout = 0
		}
	}
	s := &storm{story: newStory(t, settings, []string{"a:1", "b:1", "c:1"}[:1+rng.IntN(3)]...), rng: rng}
	s.random = rng.Float64
	s.others = true
	s.before, s.each = s.expect, s.planned
	s.promises.story = s.story
	s.step()
	return s
}

// step looks at what a shell would look at now, and at whether it would have been early to.
func (s *storm) step() {
	s.settle()
	s.check()
	s.waits(s.now.Add(time.Duration(s.rng.Int64N(int64(time.Minute)))))
}

// event makes one thing happen that gRPC, a server, RPCs, an operator or time could do.
func (s *storm) event() {
	switch s.rng.IntN(9) {
	case 0, 1:
		s.now = s.now.Add(time.Duration(s.rng.Int64N(int64(3 * time.Second))))
	case 2:
		if next := s.did.Next; !next.IsZero() {
			s.now = next
		}
	case 3:
		s.rare()
	default:
		all := slices.Collect(s.Subchannels())
		if len(all) > 0 {
			s.eventOf(all[s.rng.IntN(len(all))])
		}
	}
}

// rare is what happens to a whole endpoint.
func (s *storm) rare() {
	switch s.rng.IntN(24) {
	case 0:
		s.SetRemoved(!s.Removed())
	case 1:
		settings := s.settings
		settings.MaxSize = 1 + s.rng.IntN(30)
		settings.MinSize = s.rng.IntN(settings.MaxSize + 1)
		s.SetSettings(settings, s.now)
	case 2:
		s.Recycle()
	case 3:
		s.others = !s.others
	case 4, 5:
		s.Wake(s.now)
	case 6, 7, 8:
		s.held = s.rng.IntN(100)
	case 9:
		s.now = s.now.Add(1) // or what tries again could not be told from an attempt that has just begun
		s.TryAgain()
	default:
		s.held = 0
	}
}

func (s *storm) eventOf(sub *Subchannel) {
	switch sub.Phase() {
	case Connecting:
		s.eventOfAttempt(sub)
	case Backoff:
		s.BackoffOver(sub, s.rng.IntN(len(sub.attempt.addresses)))
	case Draining:
		if s.rng.IntN(2) == 0 {
			s.facts[sub].Drained = true
			return
		}
		fallthrough
	case Checking, NotServing, Ready:
		if n := s.rng.IntN(14); n < 3 {
			took := 50 + s.rng.IntN(2)
			s.end(sub, End{Cause: "closed", Final: n > 0, Took: took, GoAway: [...]string{"", "", "GOAWAY"}[n]})
			return
		}
		s.factOf(s.facts[sub], sub.RequestLimit() > 0)
	}
}

func (s *storm) eventOfAttempt(sub *Subchannel) {
	address := s.rng.IntN(len(sub.attempt.addresses))
	switch n := s.rng.IntN(5); {
	case sub.attempt.addresses[address] == addressBackoff:
		s.BackoffOver(sub, address)
	case sub.attempt.addresses[address] == addressIdle:
	case n == 0:
		s.Failed(sub, address, "refused")
	case n == 1:
		s.Lost(sub, address, End{}, s.now)
	default:
		s.up(sub, address)
		s.facts[sub].ForceClosable = s.rng.IntN(2) == 0
	}
}

// factOf changes what is seen of a connection.
func (s *storm) factOf(f *Facts, limited bool) {
	switch s.rng.IntN(12) {
	case 0, 1, 2, 3:
		f.Health = HealthServing
	case 4:
		f.Health = Health(s.rng.IntN(3))
	case 5:
		f.InFlight = s.rng.IntN(60)
	case 6:
		f.InFlight = 0
	case 7:
		f.Started++
		f.Answered = true
	case 8:
		f.Limit, f.LimitStated = []int{0, 1, 5, 100, NoLimit}[s.rng.IntN(5)], true
	case 9:
		f.Unanswered = true
	case 10:
		f.RequestsUsed = limited && !f.RequestsUsed
	case 11:
		f.GoAway = s.rng.IntN(4) == 0
	}
}

// calm mends everything; the endpoint must come back by its own deadlines.
func (s *storm) calm() {
	s.SetRemoved(false)
	s.others, s.held = true, 0
	for range 1000 {
		for sub := range s.Subchannels() {
			for address, state := range sub.attempt.addresses {
				s.BackoffOver(sub, address)
				if state == addressConnecting && !sub.Connected() {
					s.up(sub, address)
				}
			}
			if f := s.facts[sub]; f != nil {
				*f = Facts{Health: HealthServing, Limit: NoLimit, Drained: sub.Phase() == Draining}
			}
		}
		s.step()
		if s.outage == nil && s.count(Ready) == s.Size() {
			return
		}
		if next := s.did.Next; !next.IsZero() && s.count(Connecting) == 0 {
			s.now = next
		}
	}
	require.Fail(s.t, "the endpoint is stuck", "%+v", s.outage)
}
