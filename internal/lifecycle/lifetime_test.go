package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

func TestALifeIsShortenedByItsJitter(t *testing.T) {
	for _, c := range []struct {
		name          string
		max           time.Duration
		share, jitter float64
		want          time.Duration
	}{
		{"never longer than maxLifetime", time.Hour, 0.25, 0, time.Hour},
		{"at most the share is taken away", time.Hour, 0.25, 1, 45 * time.Minute},
		{"half of it with half a draw", time.Hour, 0.5, 0.5, 45 * time.Minute},
		{"no jitter, no difference", time.Hour, 0, 0.7, time.Hour},
		{"off", 0, 0.25, 0.5, 0},
		{"an empty life is short, not endless", time.Hour, 1, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, lifetime(c.max, c.share, c.jitter))
		})
	}
}

// Guards: the jitter that Endpoint.Connected draws; all would have the same life.
func TestEachConnectionDrawsItsLife(t *testing.T) {
	s := tell(t, "size=2 maxLifetime=1h lifetimeJitter=0.25")
	draws := []float64{0, 1}
	s.random = func() float64 { defer func() { draws = draws[1:] }(); return draws[0] }
	s.connect()
	var lives []time.Duration
	for sub := range s.Subchannels() {
		lives = append(lives, s.subchannel(sub).EndOfLife.Sub(start))
	}
	assert.Equal(t, []time.Duration{time.Hour, 45 * time.Minute}, lives)
	assert.Equal(t, 45*time.Minute, s.did.Next.Sub(start))
}

// Guards: connection.onGrid. A large pool would be woken for each renewal.
func TestConnectionsOfAChannelAreRenewedSomeAtATime(t *testing.T) {
	settings := config.Config{MaxLifetime: 512 * time.Second, IdleTimeout: 512 * time.Millisecond, LifetimeJitter: 0.25}
	for _, c := range []struct {
		made time.Duration
		want time.Duration // the end of its life
	}{
		{0, 512 * time.Second},
		{time.Millisecond, 512 * time.Second},
		{time.Second - 1, 512 * time.Second},
		{time.Second, 513 * time.Second},
		{time.Hour + 1300*time.Millisecond, time.Hour + 513*time.Second},
	} {
		conn := &connection{epoch: start, since: start.Add(c.made), lastUse: start.Add(c.made)}
		end, ok := conn.endOfLife(settings)
		assert.True(t, ok)
		assert.Equal(t, c.want, end.Sub(start), "made after %v", c.made)
		idle, ok := conn.idleAt(settings)
		assert.True(t, ok)
		assert.Equal(t, (c.made + 448*time.Millisecond).Truncate(time.Millisecond), idle.Sub(start), "made after %v", c.made)
	}
}

// Guards: Endpoint.due.
func TestASubchannelIsDueFromTheEndOfItsLifeWhileItServes(t *testing.T) {
	for _, c := range []struct {
		name string
		life time.Duration
		at   time.Duration
		p    Phase
		want bool
	}{
		{"young", time.Hour, time.Hour - 1, Ready, false},
		{"at its end", time.Hour, time.Hour, Ready, true},
		{"old", time.Hour, 2 * time.Hour, Ready, true},
		{"old, and its server does not serve", time.Hour, 2 * time.Hour, NotServing, true},
		{"draining already", time.Hour, 2 * time.Hour, Draining, false},
		{"without maxLifetime", 0, 876000 * time.Hour, Ready, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := Endpoint{settings: config.Config{MaxLifetime: c.life}, clock: clock{now: start.Add(c.at)}}
			s := &Subchannel{phase: c.p, conn: &connection{epoch: start, since: start}}
			assert.Equal(t, c.want, e.due(s))
		})
	}
	assert.False(t, new(Endpoint).due(new(Subchannel)), "not connected")
}

// Guards: connection.provenAt.
func TestAConnectionProvesItselfInASecondOrInItsWholeLife(t *testing.T) {
	c := &connection{epoch: start, since: start}
	assert.Equal(t, start.Add(time.Second), c.provenAt(config.Config{MaxLifetime: time.Hour}))
	assert.Equal(t, start.Add(time.Second), c.provenAt(config.Config{}))
	assert.Equal(t, start.Add(200*time.Millisecond), c.provenAt(config.Config{MaxLifetime: 200 * time.Millisecond}))
	s := config.Config{MaxLifetime: time.Hour, IdleTimeout: 800 * time.Millisecond}
	assert.Equal(t, start.Add(700*time.Millisecond), (&connection{epoch: start, since: start, lastUse: start}).provenAt(s), "or replaced, for it is unused")
	c.facts.Answered = true
	assert.Equal(t, start, c.provenAt(config.Config{}))
}

func TestTheBudgetIsATenthAtLeastOne(t *testing.T) {
	for size, want := range map[int]int{0: 1, 1: 1, 9: 1, 10: 1, 19: 1, 20: 2, 1024: 102} {
		assert.Equal(t, want, Budget(size), "size %d", size)
	}
}

func TestTheBackoffOfAFlapIsGRPCsDefault(t *testing.T) {
	assert.Equal(t, time.Second, flapBackoff(1, 0.5))
	assert.Equal(t, 1600*time.Millisecond, flapBackoff(2, 0.5))
	assert.Equal(t, 120*time.Second, flapBackoff(1000, 0.5))
	assert.Equal(t, 800*time.Millisecond, flapBackoff(1, 0))
	assert.Equal(t, 1200*time.Millisecond, flapBackoff(1, 1))
}

// Guards: connection.idleAt, and `refreshIdle` in Endpoint.due.
func TestAnUnusedConnectionIsDueBeforeItWasSilentForIdleTimeout(t *testing.T) {
	for _, c := range []struct {
		name   string
		keep   bool
		jitter float64
		at     time.Duration
		want   bool
	}{
		{"two samples early, for use may be seen late", true, 0, 14 * time.Second, true},
		{"not before", true, 0, 14*time.Second - 1, false},
		{"the same jitter as for lives", true, 1, 7 * time.Second, true},
		{"not before that", true, 1, 7*time.Second - 1, false},
		{"above what is called for it is not replaced", false, 0, time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := Endpoint{
				settings: config.Config{IdleTimeout: 16 * time.Second, LifetimeJitter: 0.5},
				clock:    clock{now: start.Add(c.at)},
			}
			s := &Subchannel{phase: Ready, conn: &connection{epoch: start, since: start.Add(-time.Hour), lastUse: start, jitter: c.jitter, refreshIdle: c.keep}}
			assert.Equal(t, c.want, e.due(s))
		})
	}
}

// Guards: `f.InFlight > 0 ||` and `f.Started != before.Started` in Endpoint.Observe.
func TestAConnectionIsUsedWhileItCarriesRPCsAndWhenSomeHaveBegun(t *testing.T) {
	s := tell(t, "size=1 idleTimeout=160s")
	s.connect()
	sub := s.subchannels[0]
	used := func() time.Duration { return sub.conn.lastUse.Sub(start) }
	require.Zero(t, used(), "to be made counts as use")
	s.pass(10 * time.Second)
	require.Zero(t, used())
	s.facts[sub].InFlight = 1
	s.pass(10 * time.Second)
	require.Equal(t, 20*time.Second, used(), "a stream is use, be it silent")
	s.facts[sub].InFlight = 0
	s.pass(10 * time.Second)
	require.Equal(t, 20*time.Second, used())
	s.pass(10 * time.Second)
	s.facts[sub].Started++ // and ended
	s.settle()
	require.Equal(t, 40*time.Second, used())
}

// Guards: each comparison in connection.expiresAt.
func TestWhenAConnectionExpiresFollowsItsUseAndTheSettings(t *testing.T) {
	c := &connection{epoch: start, since: start, lastUse: start, jitter: 0.5, refreshIdle: true}
	s := config.Config{MaxLifetime: time.Hour, IdleTimeout: 16 * time.Second, LifetimeJitter: 0.5}
	for _, change := range []func(){
		func() {},
		func() { c.lastUse = start.Add(time.Second) },
		func() { s.IdleTimeout = 32 * time.Second },
		func() { s.LifetimeJitter = 0.25 },
		func() { c.refreshIdle = false },
		func() { s.MaxLifetime = time.Minute },
		func() { s.LifetimeJitter = 0 },
		func() { s.MaxLifetime = 0 },
	} {
		change()
		want, wanted := c.expiry(s, c.refreshIdle)
		for range 2 {
			at, expires := c.expiresAt(&s)
			assert.Equal(t, want, at)
			assert.Equal(t, wanted, expires)
		}
	}
}
