package balancer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/settings"
)

func TestALifeIsShortenedByItsDraw(t *testing.T) {
	for _, c := range []struct {
		name         string
		max          time.Duration
		jitter, draw float64
		want         time.Duration
	}{
		{"never longer than maxLifetime", time.Hour, 0.25, 0, time.Hour},
		{"at most the jitter's part is taken away", time.Hour, 0.25, 1, 45 * time.Minute},
		{"half of it with half a draw", time.Hour, 0.5, 0.5, 45 * time.Minute},
		{"no jitter, no difference", time.Hour, 0, 0.7, time.Hour},
		{"off", 0, 0.25, 0.5, 0},
		{"an empty life is short, not endless", time.Hour, 1, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, lifeOf(c.max, c.jitter, c.draw))
		})
	}
}

func TestASlotIsDueFromTheEndOfItsLifeWhileReady(t *testing.T) {
	cfg := &config.Config{MaxLifetime: time.Hour}
	for _, c := range []struct {
		name string
		at   time.Duration
		p    phase
		want bool
	}{
		{"young", time.Hour - 1, ready, false},
		{"at its end", time.Hour, ready, true},
		{"old", 2 * time.Hour, ready, true},
		{"already draining", 2 * time.Hour, draining, false},
		{"not connected", 2 * time.Hour, idle, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &slot{phase: c.p, since: start}
			assert.Equal(t, c.want, s.due(cfg, start.Add(c.at)))
		})
	}
	assert.False(t, (&slot{phase: ready, since: start}).due(&config.Config{}, start.AddDate(100, 0, 0)), "maxLifetime 0")
}

func TestAConnectionProvesItselfInASecondOrInItsWholeLife(t *testing.T) {
	s := &slot{phase: ready, since: start}
	assert.Equal(t, start.Add(time.Second), s.provenAt(&config.Config{MaxLifetime: time.Hour}))
	assert.Equal(t, start.Add(time.Second), s.provenAt(&config.Config{}))
	assert.Equal(t, start.Add(200*time.Millisecond), s.provenAt(&config.Config{MaxLifetime: 200 * time.Millisecond}))
}

func TestTheBudgetIsATenthAtLeastOne(t *testing.T) {
	for size, want := range map[int]int{0: 1, 1: 1, 9: 1, 10: 1, 19: 1, 20: 2, 1024: 102} {
		assert.Equal(t, want, settings.Budget(size), "size %d", size)
	}
}

func TestTheBackoffOfAFlapIsGRPCsDefault(t *testing.T) {
	assert.Equal(t, time.Second, flapBackoff(1, 0.5))
	assert.Equal(t, 1600*time.Millisecond, flapBackoff(2, 0.5))
	assert.Equal(t, 120*time.Second, flapBackoff(1000, 0.5))
	assert.Equal(t, 800*time.Millisecond, flapBackoff(1, 0))
	assert.Equal(t, 1200*time.Millisecond, flapBackoff(1, 1))
}

func TestAnUnusedConnectionIsDueBeforeItWasSilentForIdleTimeout(t *testing.T) {
	cfg := &config.Config{IdleTimeout: 16 * time.Second, LifetimeJitter: 0.5}
	for _, c := range []struct {
		name  string
		keeps bool
		draw  float64
		at    time.Duration
		want  bool
	}{
		{"two samples early, for use may be seen late", true, 0, 14 * time.Second, true},
		{"not before", true, 0, 14*time.Second - 1, false},
		{"the same draw as for lives", true, 1, 7 * time.Second, true},
		{"not before that", true, 1, 7*time.Second - 1, false},
		{"above minSize it is not replaced", false, 0, time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &slot{phase: ready, since: start.Add(-time.Hour), used: start, draw: c.draw, keeps: c.keeps}
			assert.Equal(t, c.want, s.due(cfg, start.Add(c.at)))
		})
	}
}
