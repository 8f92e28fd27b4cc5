package balancer

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Every event in every phase: what is not in the table changes nothing.
func TestASlotFollowsItsDiagram(t *testing.T) {
	events := map[string]func(*slot) bool{
		"dial":    func(s *slot) bool { return s.dial(1, start) },
		"up":      func(s *slot) bool { return s.up(start, 0.5) },
		"healthy": (*slot).healthy,
		"unwell":  func(s *slot) bool { return s.ail(true) },
		"fail":    (*slot).fail,
		"rest":    (*slot).rest,
		"down":    (*slot).down,
		"retire":  (*slot).retire,
		"emptied": (*slot).emptied,
	}
	type given struct {
		phase phase
		when  string
	}
	then := map[given]phase{
		{idle, "dial"}:        dialing,
		{idle, "retire"}:      closed,
		{dialing, "up"}:       checking,
		{checking, "healthy"}: ready,
		{checking, "unwell"}:  checking,
		{checking, "down"}:    idle,
		{checking, "retire"}:  draining,
		{ready, "unwell"}:     checking,
		{dialing, "fail"}:     resting,
		{dialing, "down"}:     idle, // lost before READY was told
		{dialing, "retire"}:   closed,
		{resting, "rest"}:     idle,
		{resting, "retire"}:   closed,
		{ready, "down"}:       idle,
		{ready, "retire"}:     draining,
		{draining, "down"}:    closed,
		{draining, "emptied"}: closed,
	}
	for p := idle; p <= closed; p++ {
		for when, event := range events {
			t.Run(fmt.Sprint(p, " ", when), func(t *testing.T) {
				s := &slot{phase: p}
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

func TestLateNewsDoesNotMakeAConnectionYounger(t *testing.T) {
	s := &slot{phase: dialing}
	s.up(start, 0.5)
	s.up(start.Add(time.Hour), 0.9)
	assert.Equal(t, start, s.since)
	assert.Equal(t, 0.5, s.draw)
}

// Guards: `if stated` in slot.allow.
func TestALimitThatIsStatedLateIsTheFirst(t *testing.T) {
	s := slot{planned: -1}
	s.allow(noLimit, false, false)
	s.allow(10, true, false)
	assert.Equal(t, 10, s.planned)
}
