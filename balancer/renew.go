package balancer

import (
	"math"
	"time"

	"google.golang.org/grpc/backoff"

	"github.com/grpc-subpool/subpool/config"
)

// provenAfter is how long a connection must live to count as a success, if no RPC
// succeeds on it before: some proxies end each after so many of them. A server that
// accepts and closes at once must not be dialled in a hot loop, though each of its
// connections makes gRPC forget its backoff.
const provenAfter = time.Second

// lifeOf returns how much of full a connection with this draw gets, 0 for ever:
// never more, and different for connections born together, so that they are not
// replaced together.
func lifeOf(full time.Duration, jitter, draw float64) time.Duration {
	life := time.Duration(float64(full) * (1 - jitter*draw))
	if full > 0 && life < 1 {
		return 1 // a full jitter can draw 0, which would be "for ever"
	}
	return life
}

// lifeEnds returns when a slot has reached its age, if ever.
func (s *slot) lifeEnds(cfg *config.Config) (at time.Time, ok bool) {
	life := lifeOf(cfg.MaxLifetime, cfg.LifetimeJitter, s.draw)
	return s.since.Add(life), life > 0
}

// idleEnds returns when a slot, if it stays unused, must be replaced so as not to
// be silent for idleTimeout. Use is seen up to one sample late, and connecting
// the successor takes its time: two samples less.
func (s *slot) idleEnds(cfg *config.Config) (at time.Time, ok bool) {
	quiet := lifeOf(cfg.IdleTimeout, cfg.LifetimeJitter, s.draw)
	return s.used.Add(quiet - 2*(quiet/samples)), quiet > 0
}

// expiry returns when a connected slot is due to be replaced, if ever. refresh says
// that it is if it is unused, too.
func (s *slot) expiry(cfg *config.Config, refresh bool) (at time.Time, ok bool) {
	at, ok = s.lifeEnds(cfg)
	if idleAt, idles := s.idleEnds(cfg); refresh && idles && (!ok || idleAt.Before(at)) {
		return idleAt, true
	}
	return at, ok
}

// due reports whether the slot is connected and should be replaced.
func (s *slot) due(cfg *config.Config, now time.Time) bool {
	at, ok := s.expiry(cfg, s.keeps)
	return s.connected() && (s.doubted || s.stale || s.spent() || ok && !now.Before(at))
}

// cutAt returns when a draining slot is cut, if ever.
func (s *slot) cutAt(cfg *config.Config) (at time.Time, ok bool) {
	return s.left.Add(cfg.DrainTimeout), s.cuttable && cfg.DrainTimeout > 0
}

// provenAt returns when a slot's connection counts as a success: as soon as an RPC
// was one, after a second, or after its life where that is shorter.
func (s *slot) provenAt(cfg *config.Config) time.Time {
	if s.served {
		return s.since
	}
	proven := s.since.Add(provenAfter)
	if end, ok := s.expiry(cfg, true); ok && end.Before(proven) {
		return end
	}
	return proven
}

// flapBackoff returns how long to wait after the n-th connection in a row that
// did not prove itself, n from 1. gRPC's own backoff is reset by each success,
// and what grpc.WithConnectParams says of it is not told to a policy, so this is
// gRPC's default (connection-backoff.md). random is 0 to 1.
func flapBackoff(n int, random float64) time.Duration {
	c := backoff.DefaultConfig
	d := min(float64(c.BaseDelay)*math.Pow(c.Multiplier, float64(n-1)), float64(c.MaxDelay))
	return time.Duration(d * (1 + c.Jitter*(2*random-1)))
}
