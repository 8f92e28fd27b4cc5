package balancer

import (
	"sync/atomic"
	"time"
)

// A signal wakes the pool from where gRPC holds locks: raise does not block, and while it is
// raised already it does nothing.
type signal struct {
	raised atomic.Bool
	wake   func()
}

func (s *signal) raise() {
	if !s.raised.Load() && s.raised.CompareAndSwap(false, true) {
		go s.wake()
	}
}

// take lowers the signal, before the pool looks: what changes after that raises it again.
func (s *signal) take() bool { return s.raised.Swap(false) }

// signals are what wakes a pool, but for its timer.
type signals struct {
	changed  signal // an endpoint has news, or held RPCs may find a place
	demand   signal // an RPC is held
	exitIdle signal // an RPC or ClientConn.Connect wants a connection
	full     signal // RPCs were queued or refused
}

func (s *signals) init(wake func()) {
	for _, x := range []*signal{&s.changed, &s.demand, &s.exitIdle, &s.full} {
		x.wake = wake
	}
	s.exitIdle.raised.Store(true) // gRPC makes a policy for an RPC or Connect
}

// ExitIdle wakes a pool without connections.
func (p *pool) ExitIdle() { p.signals.exitIdle.raise() }

// schedule is when a pool wakes without a signal. A time that is zero, or has passed, wakes
// nothing.
type schedule struct {
	timer      *time.Timer
	nextDemand time.Time // no look at the demand signal before

	unpublished   bool // other connections are READY than in the picker
	lastPublished time.Time
	nextPublish   time.Time // of these; zero if they do not wait
	republish     bool      // RPCs that wait must pick again, though what is published stays the same

	nextRelease time.Time // of held RPCs, when places came free; zero, or past, if none did
	nextResolve time.Time // of the resolver; zero if it is not asked
	nextCount   time.Time // of the RPCs that found every connection full; zero if none did
}

// resetTimerLocked sets the timer to the earliest deadline after now.
func (p *pool) resetTimerLocked(now time.Time) {
	var next time.Time
	consider := func(at time.Time) {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	consider(p.endpoints.deadlines.next())
	consider(p.dials.next())
	for _, e := range p.endpoints.retrying {
		if until := e.goAways.retryUntil; !until.IsZero() {
			consider(until)
			consider(now.Add(freshAfter))
		}
	}
	if p.signals.demand.raised.Load() {
		consider(p.schedule.nextDemand)
	}
	consider(p.schedule.nextPublish)
	consider(p.schedule.nextResolve)
	consider(p.schedule.nextCount)
	consider(p.schedule.nextRelease)
	for _, c := range p.leftovers.lingering {
		consider(p.forceCloseAtLocked(c))
	}
	p.schedule.timer.Stop()
	if !next.IsZero() {
		p.schedule.timer.Reset(next.Sub(now))
	}
}

// published says that a picker was published.
func (s *schedule) published(now time.Time) {
	s.unpublished, s.lastPublished, s.nextPublish = false, now, time.Time{}
	s.nextRelease, s.republish = time.Time{}, false
}
