package balancer

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/internal/lifecycle"
	"github.com/grpc-subpool/subpool/internal/witness"
)

// wake is called when the timer fired, or a signal was raised.
func (p *pool) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reconcileLocked(time.Now())
}

// reconcileLocked reads what has changed, carries out plans until there is nothing left to
// do, and sets the timer for the next deadline.
func (p *pool) reconcileLocked(now time.Time) {
	p.signals.changed.take()
	p.closeLingeringLocked(now)
	if p.closed {
		return
	}
	p.takeDemandLocked(now)
	p.readConnectionsLocked(now)
	p.sampleLocked(now)
	for done := false; !done; {
		done = true
		for _, e := range p.endpoints.list {
			e.plan = e.Plan(now)
			done = done && e.plan.Done()
		}
		p.carryOutLocked(now)
	}
	p.setWatermarksLocked()
	p.countLocked(now)
	p.endpoints.list = slices.DeleteFunc(p.endpoints.list, func(e *endpoint) bool { return e.plan.Ended })
	p.resetTimerLocked(now)
	if witness.Settled != nil {
		witness.Settled(p.witnessLocked())
	}
}

// readConnectionsLocked tells the endpoints what is seen of their connections.
func (p *pool) readConnectionsLocked(now time.Time) {
	// All counts at once: an RPC that ends, and the next one of its caller on a connection that
	// is read later, are both counted.
	for _, e := range p.endpoints.list {
		for _, s := range e.subchannels {
			if s.conn != nil {
				s.conn.observed = s.conn.load.InFlight()
			}
		}
	}
	for _, e := range p.endpoints.list {
		for _, s := range e.subchannels {
			p.observeLocked(s, now)
		}
	}
}

func (p *pool) observeLocked(s *subchannel, now time.Time) {
	c := s.conn
	if c == nil {
		return
	}
	before, facts := s.Phase(), c.facts()
	s.endpoint.Observe(s.Subchannel, facts, now)
	if s.Phase() == lifecycle.NotServing && before != lifecycle.NotServing {
		p.failure.connection = c.health.err()
	}
	if n := s.StreamLimit(); n != c.streamLimit && s.InService() { // else it has no place for more
		c.streamLimit = n
		c.load.SetLimit(n)
	}
}

// facts is what is seen of a connection now.
func (c *connection) facts() lifecycle.Facts {
	drained := c.load.Drained() // before GoAway: a GOAWAY may drain it between the two
	f := lifecycle.Facts{
		InFlight:     c.observed,
		Started:      c.load.Starts(),
		Answered:     c.load.Answered(),
		Health:       c.health.get(),
		Limit:        noLimit,
		RequestsUsed: c.load.RequestLimitReached(),
		GoAway:       c.load.GoAwayReceived(),
		Drained:      drained,
	}
	if t := c.transport; t != nil {
		f.ForceClosable = true
		f.Limit, f.LimitStated = t.Limit()
		f.HealthStream = c.health.watched.Load()
		f.Unanswered = c.unanswered.tooLong.Swap(false)
	}
	return f
}

// setWatermarksLocked asks the connections to tell when they carry so much that it matters.
// What they got since they were observed is looked at here: of that they do not tell.
func (p *pool) setWatermarksLocked() {
	for _, e := range p.endpoints.list {
		for s := range e.ready() {
			if e.plan.Watermark == 0 {
				s.conn.load.SetHighWatermark(0)
				continue
			}
			n := s.conn.observed + e.plan.Watermark
			s.conn.load.SetHighWatermark(n)
			if s.conn.load.InFlight() >= n {
				p.signals.demand.raise()
			}
		}
	}
}

// demandChecks is the least time between two looks at the demand signal, and perConnection
// what is added for each connection: many picks may raise it while the demand is not yet
// enough to grow, or no more.
const (
	demandChecks  = time.Millisecond
	perConnection = 5 * time.Microsecond
)

// takeDemandLocked lowers the demand signal, if it is time to: before the connections are
// read, or what it is raised for meanwhile would be lost.
func (p *pool) takeDemandLocked(now time.Time) {
	if now.Before(p.schedule.nextDemand) || !p.signals.demand.take() {
		return
	}
	connections := 0
	for _, e := range p.endpoints.list {
		connections += len(e.subchannels)
	}
	p.schedule.nextDemand = now.Add(demandChecks + time.Duration(connections)*perConnection)
}

// heldLocked returns how many RPCs are held. Those that were cancelled count until the next
// publication, so a count is believed for a moment only; then those that are left must pick
// again.
func (p *pool) heldLocked(now time.Time) int {
	held, since := p.waiters.Waiting()+p.waiters.HeldRetries(), &p.schedule.heldSince
	switch {
	case held == 0:
	case since.IsZero():
		*since = now
	case now.Sub(*since) > believed+time.Duration(held)*perHeld:
		p.republish = true
		return 0
	}
	return held
}

// believed is how long a count of held RPCs is, and perHeld what is added for each; that
// bounds the picks of held RPCs to 100,000 a second.
const (
	believed = 10 * time.Millisecond
	perHeld  = 10 * time.Microsecond
)

// sampleLocked takes the demand.
func (p *pool) sampleLocked(now time.Time) {
	wanted := p.hasEndpointLocked() && p.signals.exitIdle.take()
	held, n := p.heldLocked(now), len(p.endpoints.list)
	p.endpoints.active = false
	for _, e := range p.endpoints.list {
		e.Sample((held+n-1)/n, now)
		if wanted {
			e.Wake(now)
		}
		p.endpoints.active = p.endpoints.active || e.Used()
	}
	for _, e := range p.endpoints.list {
		e.SetActive(p.endpoints.active)
	}
}

// resolveDueLocked reports that it is time to ask the resolver, as resolveInterval has it,
// give or take a tenth, so that many clients do not ask together.
func (p *pool) resolveDueLocked(now time.Time) bool {
	if p.cfg == nil || p.cfg.ResolveInterval == 0 {
		return false
	}
	next := &p.schedule.nextResolve
	due := !next.IsZero() && !now.Before(*next)
	if due || next.IsZero() {
		*next = now.Add(time.Duration(float64(p.cfg.ResolveInterval) * (0.9 + 0.2*rand.Float64())))
	}
	return due
}
