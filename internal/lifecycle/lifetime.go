package lifecycle

import (
	"math"
	"time"

	"github.com/grpc-subpool/subpool/config"
)

// ProvenAfter is how long a connection must live to count as a success, unless the server
// answers an RPC on it before: some proxies end each after so many RPCs. A server that accepts
// and closes at once must not be dialled in a hot loop, though each of its connections makes
// gRPC forget its backoff: only where RPCs wait does each flap allow one attempt, as in a plain
// channel. See also endsInOrderAfter.
const ProvenAfter = time.Second

// endsInOrderAfter is how long a connection must live to count as a success if the server ends it
// by a GOAWAY without an error, as servers end what carries nothing, or is old. Each subchannel
// dials ten times a second at most by that, and only as long as RPCs were sent of late.
const endsInOrderAfter = 100 * time.Millisecond

// lifetime returns how much of full a connection with this jitter gets, 0 for ever: never
// more, and different for connections that were made together, so that they are not
// replaced together.
func lifetime(full time.Duration, share, jitter float64) time.Duration {
	life := time.Duration(float64(full) * (1 - share*jitter))
	if full > 0 && life < 1 {
		return 1 // a share of 1 can make 0 of it, which would be "for ever"
	}
	return life
}

// endOfLife returns when the connection reaches its age, if ever.
func (c *connection) endOfLife(s config.Config) (at time.Time, ok bool) {
	life := lifetime(s.MaxLifetime, s.LifetimeJitter, c.jitter)
	return c.onGrid(c.since.Add(life), s.MaxLifetime), life > 0
}

// idleAt returns when the connection, if it stays unused, must be replaced so as not to be
// silent for idleTimeout. Use is seen up to one sample late, and the successor needs time
// to connect: two samples less.
func (c *connection) idleAt(s config.Config) (at time.Time, ok bool) {
	quiet := lifetime(s.IdleTimeout, s.LifetimeJitter, c.jitter)
	return c.onGrid(c.lastUse.Add(quiet-2*(quiet/samples)), s.IdleTimeout), quiet > 0
}

// renewalTimes is into how many parts maxLifetime and idleTimeout are divided: connections are
// renewed at the beginning of one.
const renewalTimes = 512

// onGrid returns the beginning of the part of full in which at is. All endpoints of a channel
// count the parts from the same time. So in a large pool several renewals come at the same moment:
// to wake the process for each took more processor time than the renewals themselves.
func (c *connection) onGrid(at time.Time, full time.Duration) time.Time {
	if part := full / renewalTimes; part > 0 {
		at = at.Add(-(at.Sub(c.epoch) % part))
	}
	return at
}

// expiry returns when a connection is to be replaced, if ever. refreshIdle says that it is
// if it is unused, too.
func (c *connection) expiry(s config.Config, refreshIdle bool) (at time.Time, ok bool) {
	at, ok = c.endOfLife(s)
	if idle, idles := c.idleAt(s); refreshIdle && idles && (!ok || idle.Before(at)) {
		return idle, true
	}
	return at, ok
}

// cannotStay reports that a subchannel in service is to be replaced whatever its age and use.
func (e *Endpoint) cannotStay(s *Subchannel) bool {
	return s.conn.suspect() || s.recycle || e.usedUp(s.conn)
}

// due reports whether the subchannel is in service and should be replaced.
func (e *Endpoint) due(s *Subchannel) bool {
	if !s.InService() {
		return false
	}
	if e.cannotStay(s) {
		return true
	}
	at, expires := s.conn.expiresAt(&e.settings)
	return expires && e.clock.reached(at)
}

// expiry is when a connection is to be replaced, if ever, as long as what it is made of stays the
// same. It is asked of every connection in each plan.
type expiry struct {
	at          time.Time
	expires     bool
	lastUse     time.Time
	refreshIdle bool
	max, idle   time.Duration // MaxLifetime and IdleTimeout
	jitter      float64       // LifetimeJitter
}

func (c *connection) expiresAt(s *config.Config) (time.Time, bool) {
	x := &c.life
	if x.lastUse != c.lastUse || x.refreshIdle != c.refreshIdle || x.max != s.MaxLifetime || x.idle != s.IdleTimeout || x.jitter != s.LifetimeJitter {
		*x = expiry{lastUse: c.lastUse, refreshIdle: c.refreshIdle, max: s.MaxLifetime, idle: s.IdleTimeout, jitter: s.LifetimeJitter}
		x.at, x.expires = c.expiry(*s, c.refreshIdle)
	}
	return x.at, x.expires
}

// provenAt returns when the connection counts as a success: as soon as an RPC was answered,
// after ProvenAfter, or after its life where that is shorter.
func (c *connection) provenAt(s config.Config) time.Time {
	if c.facts.Answered {
		return c.since
	}
	proven := c.since.Add(ProvenAfter)
	if end, ok := c.expiry(s, true); ok && end.Before(proven) {
		return end
	}
	return proven
}

// gRPC's default backoff (its connection-backoff.md).
const (
	backoffBase       = time.Second
	backoffMultiplier = 1.6
	backoffJitter     = 0.2
	backoffMax        = 120 * time.Second
)

// flapBackoff returns how long to wait after the n-th connection in a row that did not prove
// itself, n from 1. gRPC's own backoff is reset by each connection, and what
// grpc.WithConnectParams says of it is not told to a policy, so this is gRPC's default.
// random is 0 to 1.
func flapBackoff(n int, random float64) time.Duration {
	d := min(float64(backoffBase)*math.Pow(backoffMultiplier, float64(n-1)), float64(backoffMax))
	return time.Duration(d * (1 + backoffJitter*(2*random-1)))
}
