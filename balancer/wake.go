package balancer

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/grpc-subpool/subpool/internal/witness"
)

// A signal wakes the pool from where gRPC holds locks: raise does not block, and
// while it is raised already it does nothing.
type signal struct {
	raised atomic.Bool
	wake   func()
}

func (s *signal) raise() {
	if !s.raised.Load() && s.raised.CompareAndSwap(false, true) {
		go s.wake()
	}
}

// take lowers the signal, before the pool looks: what changes after the look
// raises it again.
func (s *signal) take() bool { return s.raised.Swap(false) }

// ExitIdle wakes a pool that sleeps.
func (p *pool) ExitIdle() { p.roused.raise() }

// wake looks at the facts again: the timer fired, or a signal was raised.
func (p *pool) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settleLocked(time.Now())
}

// settleLocked carries out plans until there is nothing left to do, tells gRPC
// the result, and sets the timer for the next deadline.
func (p *pool) settleLocked(now time.Time) {
	p.news.take()
	p.sweepLocked(now)
	if p.closed {
		return
	}
	p.feelLocked(now)
	p.senseLocked(now)
	p.sampleLocked(now)
	for {
		var todo effects
		for _, e := range p.endpoints {
			e.reap(func(s *slot) bool { return s.sub.load.Drained() })
			todo.add(e.plan(now))
		}
		todo.resolve = p.asksLocked(now) || todo.resolve
		p.applyLocked(todo, now)
		if todo.none() {
			break
		}
	}
	p.watchLocked()
	p.reportLocked(now)
	p.endpoints = slices.DeleteFunc(p.endpoints, func(e *endpointOf) bool { return e.forgotten(now) })
	p.armLocked(now)
	if witness.Settled != nil {
		witness.Settled(p.testimonyLocked())
	}
}

// watchLocked asks the connections to tell when they carry so much that it matters.
// What they got since the sample is looked at here: nobody would tell.
func (p *pool) watchLocked() {
	for _, e := range p.endpoints {
		margin := e.margin()
		for s := range e.those(ready) {
			if margin == 0 {
				s.sub.load.SetHighWatermark(0)
				continue
			}
			most := s.sub.sampled + margin
			s.sub.load.SetHighWatermark(most)
			if s.sub.load.InFlight() >= most {
				p.pressure.raise()
			}
		}
	}
}

// growthChecks is the least time between two looks at the pressure, and
// perConnection what is added for each: many picks may feel it while it is not
// yet enough to grow, or no more.
const (
	growthChecks  = time.Millisecond
	perConnection = 5 * time.Microsecond
)

// feelLocked takes the pressure, if it is time to: before all looks, or what it is
// raised for while they go on would be lost.
func (p *pool) feelLocked(now time.Time) {
	if now.Before(p.nextCheck) || !p.pressure.take() {
		return
	}
	connections := 0
	for _, e := range p.endpoints {
		connections += len(e.slots)
	}
	p.nextCheck = now.Add(growthChecks + time.Duration(connections)*perConnection)
}

// heldLocked returns how many RPCs are held. Those that were cancelled count until
// the next publication, so a count is believed for a moment only; then those that are
// left must pick again.
func (p *pool) heldLocked(now time.Time) int {
	held := p.waiters.Waiting() + p.waiters.HeldRetries()
	switch {
	case held == 0:
	case p.heldSince.IsZero():
		p.heldSince = now
	case now.Sub(p.heldSince) > believed+time.Duration(held)*perWaiting:
		p.recount = true
		return 0
	}
	return held
}

// believed is how long a count of held RPCs is.
const believed = 10 * time.Millisecond

// sampleLocked looks at the demand.
func (p *pool) sampleLocked(now time.Time) {
	if p.cfg == nil {
		return
	}
	if !now.Before(p.nextSample) {
		p.nextSample = now.Add(p.cfg.IdleTimeout / samples)
	}
	roused := p.hasEndpointLocked() && p.roused.take()
	awake, waiting := false, p.heldLocked(now)
	for _, e := range p.endpoints {
		held := (waiting + len(p.endpoints) - 1) / len(p.endpoints)
		e.sample(now, held, func(s *slot) (int, uint32) {
			s.sub.sampled = s.sub.load.InFlight()
			return s.sub.sampled, s.sub.load.Starts()
		})
		if roused {
			e.window.observe(1, p.cfg.IdleTimeout, now)
			e.retry()
		}
		awake = awake || e.window.peak() > 0
	}
	for _, e := range p.endpoints {
		e.awake = awake
	}
}

// asksLocked reports that it is time to ask the resolver, as resolveInterval has
// it, give or take a tenth, so that many clients do not ask together.
func (p *pool) asksLocked(now time.Time) bool {
	if p.cfg == nil || p.cfg.ResolveInterval == 0 {
		return false
	}
	due := !p.nextAsk.IsZero() && !now.Before(p.nextAsk)
	if due || p.nextAsk.IsZero() {
		p.nextAsk = now.Add(time.Duration(float64(p.cfg.ResolveInterval) * (0.9 + 0.2*rand.Float64())))
	}
	return due
}

// armLocked sets the timer to the earliest deadline after now.
func (p *pool) armLocked(now time.Time) {
	var next time.Time
	consider := func(at time.Time) {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, e := range p.endpoints {
		if at, ok := e.deadline(now); ok {
			consider(at)
		}
		if !e.freshUntil.IsZero() {
			consider(e.freshUntil)
			consider(now.Add(freshAfter))
		}
		if len(e.slots) > 0 && p.cfg.IdleTimeout > 0 {
			consider(p.nextSample)
		}
	}
	if p.pressure.raised.Load() {
		consider(p.nextCheck)
	}
	consider(p.nextAsk)
	consider(p.report.nextCount)
	consider(p.nextRelease)
	for _, c := range p.former {
		consider(p.cutAt(c))
	}
	p.timer.Stop()
	if !next.IsZero() {
		p.timer.Reset(next.Sub(now))
	}
}
