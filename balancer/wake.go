package balancer

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
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
	if p.closed {
		return
	}
	p.empty.take()
	p.health.take()
	p.room.take()
	p.checkLocked()
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
	p.endpoints = slices.DeleteFunc(p.endpoints, func(e *endpointOf) bool { return e.forgotten(now) })
	p.armLocked(now)
	if settled != nil {
		settled(p)
	}
}

// settled is nil but in tests, which look at every pool after every step.
var settled func(*pool)

// watchLocked asks the connections to tell when they carry so much that it matters.
// What they got since the sample is looked at here: nobody would tell.
func (p *pool) watchLocked() {
	for _, e := range p.endpoints {
		margin := e.margin()
		for _, s := range e.slots {
			if s.phase != ready {
				continue
			}
			if margin == 0 {
				s.sub.load.Watch(0)
				continue
			}
			most := s.sub.sampled + margin
			s.sub.load.Watch(most)
			if s.sub.load.InFlight() >= most {
				p.pressure.raise()
			}
		}
	}
}

// checkLocked reads the health notes of all connections.
func (p *pool) checkLocked() {
	for _, e := range p.endpoints {
		for _, s := range e.slots {
			if !s.connected() {
				continue
			}
			if st := s.sub.health.Load(); st != nil && e.checked(s, st.ConnectivityState) && s.unwell {
				if p.connErr = st.ConnectionError; p.connErr == nil {
					p.connErr = errEjected
				}
			}
		}
	}
}

var errEjected = errors.New("the parent policy takes the connection for unhealthy")

// growthChecks is the least time between two looks at the pressure, and
// perConnection what is added for each: many picks may feel it while it is not
// yet enough to grow, or no more.
const (
	growthChecks  = time.Millisecond
	perConnection = 5 * time.Microsecond
)

// sampleLocked looks at the demand.
func (p *pool) sampleLocked(now time.Time) {
	if p.cfg == nil {
		return
	}
	connections := 0
	for _, e := range p.endpoints {
		connections += len(e.slots)
	}
	if !now.Before(p.nextCheck) && p.pressure.take() {
		p.nextCheck = now.Add(growthChecks + time.Duration(connections)*perConnection)
	}
	if !now.Before(p.nextSample) {
		p.nextSample = now.Add(p.cfg.IdleTimeout / samples)
	}
	roused := p.hasEndpointLocked() && p.roused.take()
	awake := false
	for _, e := range p.endpoints {
		held := (p.gate.Waiting() + len(p.endpoints) - 1) / len(p.endpoints)
		e.sample(now, held, func(s *slot) (int, uint32) {
			s.sub.sampled = s.sub.load.InFlight()
			return s.sub.sampled, s.sub.load.Starts()
		})
		if roused {
			e.window.observe(1, p.cfg.IdleTimeout, now)
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
		if len(e.slots) > 0 && p.cfg.IdleTimeout > 0 {
			consider(p.nextSample)
		}
	}
	if p.pressure.raised.Load() {
		consider(p.nextCheck)
	}
	consider(p.nextAsk)
	consider(p.nextRelease)
	p.timer.Stop()
	if !next.IsZero() {
		p.timer.Reset(next.Sub(now))
	}
}
