package balancer

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/connectivity"

	"github.com/grpc-subpool/subpool/internal/settings"
)

// A story tells an endpoint what happens and shows what it does. Draws are 0:
// lives last exactly maxLifetime.
type story struct {
	*testing.T
	*endpoint
	now time.Time
	did effects // since the last look
}

func tell(t *testing.T, js string) *story {
	cfg, _, _, err := settings.Parse([]byte(js))
	require.NoError(t, err)
	order := 0
	e := &endpoint{addresses: 1, limit: noLimit, allows: noLimit, cfg: &cfg, random: func() float64 { return 0.5 }}
	e.cfg.LifetimeJitter = 0
	e.awake = true
	if !strings.Contains(js, "idleTimeout") {
		e.cfg.IdleTimeout = 0
	}
	e.newSlot = func() *slot { order++; return &slot{order: order} }
	s := &story{T: t, endpoint: e, now: start}
	s.settle()
	return s
}

func (s *story) settle() {
	s.did = s.plan(s.now)
	require.True(s, func() bool { again := s.plan(s.now); return again.none() }(), "a plan leaves nothing to plan")
}

func (s *story) pass(d time.Duration) { s.now = s.now.Add(d); s.settle() }

// all applies an event to every slot in that phase.
func (s *story) all(p phase, event func(*slot)) {
	for _, sl := range s.in(p) {
		event(sl)
	}
	s.settle()
}

func (s *story) connect() { s.all(dialing, func(sl *slot) { s.rise(sl, s.now) }) }

// rise connects a slot to a server that is well.
func (s *story) rise(sl *slot, now time.Time) {
	s.up(sl, 0, now)
	s.checked(sl, connectivity.Ready)
}

func (s *story) refuse() { s.all(dialing, func(sl *slot) { s.fail(sl, 0) }) }
func (s *story) rested() { s.all(resting, func(sl *slot) { s.rest(sl, 0) }) }
func (s *story) cut()    { s.all(ready, func(sl *slot) { s.lost(sl, 0, s.now) }) }
func (s *story) finish() { s.reap(func(*slot) bool { return true }); s.settle() }

func (s *story) in(p phase) (found []*slot) {
	for _, sl := range append(append([]*slot{}, s.slots...), s.leaving...) {
		if sl.phase == p {
			found = append(found, sl)
		}
	}
	return found
}

func (s *story) want(p phase, n int) { s.Helper(); require.Len(s, s.in(p), n, "%v", p) }

func TestAllSlotsDialSideBySide(t *testing.T) {
	s := tell(t, `{"size":6}`)
	s.want(dialing, 6)
	require.Equal(t, connectivity.Connecting, s.state())
	s.connect()
	s.want(ready, 6)
	require.Equal(t, connectivity.Ready, s.state())
}

func TestALostConnectionDialsAtOnce(t *testing.T) {
	s := tell(t, `{"size":3}`)
	s.connect()
	s.pass(time.Minute)
	s.cut()
	s.want(dialing, 3)
	require.Equal(t, connectivity.Connecting, s.state())
}

func TestAfterOneFailureThereIsOneAttemptAtATime(t *testing.T) {
	s := tell(t, `{"size":16}`)
	s.refuse()
	require.Equal(t, connectivity.TransientFailure, s.state())
	s.want(resting, 16)
	for range 5 {
		s.rested()
		s.want(dialing, 1)
		require.Same(t, s.probe, s.in(dialing)[0], "the same again, or the backoff would start anew")
		require.Equal(t, connectivity.TransientFailure, s.state(), "gRFC A62")
		s.refuse()
	}
}

// Guards: `s.fresh` in endpoint.forgive.
func TestTheFirstConnectionThatProvesItselfSetsAllFree(t *testing.T) {
	s := tell(t, `{"size":16}`)
	s.refuse()
	s.rested()
	s.connect()
	s.want(ready, 1)
	s.want(dialing, 0)
	s.in(ready)[0].served = true
	s.settle()
	s.want(dialing, 15)
	require.Equal(t, connectivity.Ready, s.state())
}

func TestARoundFailsOnlyWithItsLastAttempt(t *testing.T) {
	s := tell(t, `{"size":2}`)
	s.fail(s.in(dialing)[0], 0)
	s.settle()
	require.Equal(t, connectivity.Connecting, s.state())
	s.refuse()
	require.Equal(t, connectivity.TransientFailure, s.state())
}

func TestALostConnectionIsTriedAtOnceEvenInABackoff(t *testing.T) {
	s := tell(t, `{"size":3}`)
	for _, sl := range s.in(dialing)[:2] {
		s.rise(sl, s.now)
	}
	s.settle()
	s.refuse()
	s.want(resting, 1)
	s.pass(time.Minute)
	s.cut()
	s.want(dialing, 1) // one at a time
	require.Equal(t, connectivity.Connecting, s.state())
	s.refuse()
	s.want(dialing, 1)
	s.refuse()
	s.want(dialing, 0) // now the backoff holds for all
	require.Equal(t, connectivity.TransientFailure, s.state(), "RPCs would hang until the backoff ends")
}

func TestADialFromBeforeTheFirstFailureHoldsNobodyUp(t *testing.T) {
	s := tell(t, `{"size":8}`)
	hanging := s.in(dialing)[0]
	for range 3 {
		for _, sl := range s.in(dialing) {
			if sl != hanging {
				s.fail(sl, 0)
			}
		}
		s.settle()
		s.rested()
		s.want(dialing, 2) // it and the probe
	}
	require.Equal(t, connectivity.TransientFailure, s.state())
}

func TestWhenNothingIsLeftToAttemptTheFailureIsForgotten(t *testing.T) {
	s := tell(t, `{"size":2}`)
	s.rise(s.in(dialing)[0], s.now)
	s.settle()
	s.refuse()
	s.cfg.MinSize = 1 // live: the one that fails is not needed any more
	s.settle()
	s.pass(time.Second)
	require.Zero(t, s.failures)
}

func TestARemovedEndpointIsRememberedWhileItFails(t *testing.T) {
	s := tell(t, `{"size":16}`)
	s.refuse()
	s.removed = true
	s.settle()
	require.False(t, s.forgotten(s.now))
	s.removed = false
	s.settle()
	s.want(dialing, 0)
	s.pass(time.Second)
	s.want(dialing, 1)

	s.removed = true
	s.settle()
	require.True(t, s.forgotten(s.now.Add(time.Hour)))
}

func TestASlotServesOnlyWhileItsServerIsWell(t *testing.T) {
	s := tell(t, `{"size":2}`)
	s.all(dialing, func(sl *slot) { s.up(sl, 0, s.now) })
	s.want(checking, 2)
	require.Equal(t, connectivity.Connecting, s.state(), "not known yet")

	one, other := s.slots[0], s.slots[1]
	s.checked(one, connectivity.TransientFailure)
	s.settle()
	require.Equal(t, connectivity.Connecting, s.state(), "the other may be well")
	s.checked(other, connectivity.TransientFailure)
	s.settle()
	require.Equal(t, connectivity.TransientFailure, s.state())

	s.checked(one, connectivity.Ready)
	s.settle()
	s.want(ready, 1)
	require.Equal(t, connectivity.Ready, s.state())
	s.checked(one, connectivity.TransientFailure)
	s.settle()
	s.want(ready, 0)
	require.Equal(t, connectivity.TransientFailure, s.state())
	require.Len(t, s.slots, 2, "they stay connected")
}

func TestARemovedEndpointOnlyFinishes(t *testing.T) {
	s := tell(t, `{"size":3}`)
	s.rise(s.in(dialing)[0], s.now)
	s.removed = true
	s.settle()
	require.Empty(t, s.slots)
	s.want(draining, 1)
	s.finish()
	s.want(draining, 0)
}
