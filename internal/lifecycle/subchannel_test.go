package lifecycle

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Every event in every phase: what is not in the table changes nothing.
//
// Guards: the lists of phases in Subchannel.dial, failed, backoffOver, connected, healthIs,
// lost, retire and drained.
func TestASubchannelFollowsItsDiagram(t *testing.T) {
	events := map[string]func(*Subchannel) bool{
		"dial":        func(s *Subchannel) bool { return s.dial(1, start) },
		"connected":   func(s *Subchannel) bool { return s.connected(start, start, 0.5) },
		"healthy":     func(s *Subchannel) bool { return s.healthIs(HealthServing) },
		"not serving": func(s *Subchannel) bool { return s.healthIs(HealthNotServing) },
		"unknown":     func(s *Subchannel) bool { return s.healthIs(HealthUnknown) },
		"failed":      (*Subchannel).failed,
		"backoffOver": (*Subchannel).backoffOver,
		"lost":        (*Subchannel).lost,
		"retire":      (*Subchannel).retire,
		"drained":     (*Subchannel).drained,
	}
	type given struct {
		phase Phase
		when  string
	}
	then := map[given]Phase{
		{Idle, "dial"}:            Connecting,
		{Idle, "retire"}:          Closed,
		{Connecting, "connected"}: Checking,
		{Connecting, "failed"}:    Backoff,
		{Connecting, "lost"}:      Idle, // before READY was told
		{Connecting, "retire"}:    Closed,
		{Backoff, "backoffOver"}:  Idle,
		{Backoff, "retire"}:       Closed,
		{Checking, "healthy"}:     Ready,
		{Checking, "not serving"}: NotServing,
		{Checking, "lost"}:        Idle,
		{Checking, "retire"}:      Draining,
		{NotServing, "healthy"}:   Ready,
		{NotServing, "unknown"}:   Checking,
		{NotServing, "lost"}:      Idle,
		{NotServing, "retire"}:    Draining,
		{Ready, "not serving"}:    NotServing,
		{Ready, "unknown"}:        Checking,
		{Ready, "lost"}:           Idle,
		{Ready, "retire"}:         Draining,
		{Draining, "lost"}:        Closed,
		{Draining, "drained"}:     Closed,
	}
	for p := range Phases {
		for when, event := range events {
			t.Run(fmt.Sprint(p, " ", when), func(t *testing.T) {
				s := &Subchannel{phase: p}
				want, fits := then[given{p, when}]
				if !fits {
					want = p
				}
				assert.Equal(t, fits, event(s))
				assert.Equal(t, want, s.phase)
			})
		}
	}
}

// Guards: `return false` in Endpoint.Connected.
func TestAnEventThatIsRepeatedDoesNotMakeAConnectionYounger(t *testing.T) {
	s := tell(t, "size=1 maxLifetime=1h")
	s.connect()
	s.now = s.now.Add(time.Minute)
	sub := s.subchannels[0]
	assert.False(t, s.Connected(sub, 0, s.now))
	assert.Equal(t, start, sub.Since())
}

// An event that comes late tells of an attempt or a connection that is no more.
func TestALateEventChangesNothing(t *testing.T) {
	for phase, events := range map[Phase]map[string]func(*story, *Subchannel) bool{
		Backoff: {
			"failed": func(s *story, sub *Subchannel) bool { return s.Failed(sub, 0, "") },
			"lost":   func(s *story, sub *Subchannel) bool { return s.Lost(sub, 0, End{}, s.now) },
		},
		Ready: {
			"failed":       func(s *story, sub *Subchannel) bool { return s.Failed(sub, 0, "") },
			"backoff over": func(s *story, sub *Subchannel) bool { return s.BackoffOver(sub, 0) },
			"another lost": func(s *story, sub *Subchannel) bool { return s.Lost(sub, 1, End{}, s.now) },
		},
	} {
		for name, event := range events {
			t.Run(fmt.Sprint(phase, " ", name), func(t *testing.T) {
				s := tell(t, "size=1")
				sub := s.subchannels[0]
				if phase == Ready {
					s.connect()
				} else {
					s.refuse()
				}
				assert.Equal(t, phase, sub.Phase())
				s.said = nil
				assert.False(t, event(s, sub))
				s.settle()
				assert.Equal(t, phase, sub.Phase())
				assert.Empty(t, s.said)
			})
		}
	}
}

// Guards: `c == nil` in Endpoint.Observe and in StreamLimit and RequestLimit.
func TestWithoutAConnectionThereIsNothingToSee(t *testing.T) {
	s := tell(t, "size=1")
	sub := s.subchannels[0]
	s.Observe(sub, Facts{InFlight: 5, Limit: 3, LimitStated: true, Unanswered: true, Health: HealthServing}, s.now)
	assert.Equal(t, Connecting, sub.Phase())
	assert.Equal(t, NoLimit, sub.StreamLimit())
	assert.Zero(t, sub.RequestLimit())
	assert.Zero(t, sub.Since())
	assert.False(t, sub.Suspect())
	assert.False(t, sub.Connected())
}

// Guards: `if !s.InService()` in Endpoint.Observe.
func TestWhatDrainsIsUsedButIsNoDemand(t *testing.T) {
	s := tell(t, "size=2 idleTimeout=16s")
	s.connect()
	s.SetSettings(parseSettings(t, s.settings, "size=1"), s.now)
	for range 17 {
		s.pass(time.Second)
	}
	s.want(Draining, 1)
	sub := s.those(Draining)[0]
	s.facts[sub].InFlight, s.facts[sub].Health = 7, HealthNotServing
	s.pass(time.Second)
	assert.Equal(t, Draining, sub.Phase())
	assert.Equal(t, 7, sub.conn.facts.InFlight)
	assert.Equal(t, s.now, sub.conn.lastUse)
	assert.Zero(t, s.Snapshot().Demand)
}
