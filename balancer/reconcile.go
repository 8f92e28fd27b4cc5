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

// reconcileLocked is a step: it reads what has changed, carries out plans of the endpoints that
// are marked until there is nothing left to do, and sets the timer for the next deadline.
func (p *pool) reconcileLocked(now time.Time) {
	p.signals.changed.take()
	p.closeLingeringLocked(now)
	if p.closed {
		return
	}
	p.markDueLocked(now)
	if next := p.schedule.nextCount; !next.IsZero() && !now.Before(next) {
		p.endpoints.markAll() // RPCs found no place: the demand may be more than maxSize allows
	}
	p.markForHeldLocked(now)
	p.wakeEndpointsLocked(now)
	p.sampleLocked(p.endpoints.marked, now)
	p.shareUseLocked(now)
	step := p.endpoints.marked
	p.endpoints.marked = nil
	for done := false; !done; {
		done = true
		for i, e := range step {
			p.planLocked(e, p.dials.share(now, len(step)-i), now)
			done = done && e.plan.Done()
		}
		p.carryOutLocked(step, now)
	}
	for _, e := range step {
		e.marked = false
		p.setWatermarkLocked(e)
		p.setDeadlineLocked(e)
	}
	p.endpoints.dropEnded(step)
	p.countLocked(now)
	p.resetTimerLocked(now)
	if witness.Settled != nil {
		witness.Settled(p.witnessLocked())
	}
}

func (p *pool) planLocked(e *endpoint, dials int, now time.Time) {
	e.plan = e.Plan(now, dials)
	p.dials.planned(e)
	if p.endpoints.sum.addUp(e) {
		p.schedule.unpublished = true
	}
	if e.goAways.count.Opened() != 0 && !slices.Contains(p.endpoints.retrying, e) {
		p.endpoints.retrying = append(p.endpoints.retrying, e)
	}
}

// readConnectionsLocked tells the endpoints what is seen of their connections.
func (p *pool) readConnectionsLocked(endpoints []*endpoint, now time.Time) {
	// All counts at once: an RPC that ends, and the next one of its caller on a connection that
	// is read later, are both counted.
	for _, e := range endpoints {
		for _, s := range e.subchannels {
			if s.conn != nil {
				s.conn.observed = s.conn.load.InFlight()
			}
		}
	}
	for _, e := range endpoints {
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
	drained := c.load.Drained() // before GoAway, for a GOAWAY may drain it between the two
	f := lifecycle.Facts{
		InFlight:     c.observed,
		Started:      c.load.Starts(),
		Answered:     c.load.Answered(),
		Failed:       c.load.Failed(),
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

// setWatermarkLocked asks the connections of e to tell when they carry so much that it matters.
// What they got since they were observed is looked at here: of that they do not tell.
func (p *pool) setWatermarkLocked(e *endpoint) {
	for s := range e.ready() {
		if e.plan.Watermark == 0 {
			s.conn.load.SetHighWatermark(0)
			continue
		}
		n := s.conn.observed + e.plan.Watermark
		s.conn.load.SetHighWatermark(n)
		if s.conn.load.InFlight() >= n {
			e.signals.Demand()
		}
	}
}

// markForHeldLocked marks all endpoints where RPCs are held: each is to have room for its share
// of them. What is signalled is taken before the connections are read, or what is signalled
// meanwhile would be lost.
func (p *pool) markForHeldLocked(now time.Time) {
	if len(p.endpoints.list) == 0 {
		return
	}
	signalled := !now.Before(p.schedule.nextDemand) && p.signals.demand.take()
	if signalled {
		p.schedule.nextDemand = now.Add(demandChecks + time.Duration(len(p.endpoints.byID))*perConnection)
	}
	share := p.shareOfHeldLocked()
	if signalled || share != p.endpoints.sum.share {
		p.endpoints.sum.share = share
		p.endpoints.markAll()
	}
}

// shareOfHeldLocked is the share of each endpoint in the RPCs that are held.
func (p *pool) shareOfHeldLocked() int {
	n := max(1, len(p.endpoints.list))
	return (p.waiters.Held() + n - 1) / n
}

// wakeEndpointsLocked tells the endpoints that an RPC or ClientConn.Connect wants a connection.
func (p *pool) wakeEndpointsLocked(now time.Time) {
	if !p.hasEndpointLocked() || !p.signals.exitIdle.take() {
		return
	}
	for _, e := range p.endpoints.list {
		if e.Wake(now) {
			p.endpoints.mark(e)
		}
	}
}

// sampleLocked reads the connections, and takes the demand.
func (p *pool) sampleLocked(endpoints []*endpoint, now time.Time) {
	p.readConnectionsLocked(endpoints, now)
	share := min(p.endpoints.sum.share, p.shareOfHeldLocked()) // an RPC that was held may be in flight by now
	for _, e := range endpoints {
		e.Sample(share, now)
		p.endpoints.sum.setUsed(e, e.Used())
	}
}

// shareUseLocked tells all endpoints when the first of them is used, and when none is any more.
func (p *pool) shareUseLocked(now time.Time) {
	x := &p.endpoints
	active := x.sum.used > 0
	if active == x.sum.active {
		return
	}
	x.sum.active = active
	for _, e := range x.list {
		e.SetActive(active)
	}
	marked := len(x.marked)
	x.markAll()
	p.sampleLocked(x.marked[marked:], now)
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
