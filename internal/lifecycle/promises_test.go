package lifecycle

import "slices"

// promises are what holds after each plan, whatever happens.
type promises struct {
	*story
	wasReady int
	attempt  *Subchannel // of an outage, that was under way; or nil
	serving  int         // by the decisions: connections that were opened and have not left
	lastSize int
	maxSize  int // the largest since none drained
	dropped  int // since then: by shrinking, and because they could not wait
}

// expect looks at what the next plan must not lessen.
func (p *promises) expect() {
	p.wasReady = p.count(Ready)
	if p.attempt = nil; p.outage != nil && p.outage.attempt != nil && p.outage.attempt.phase == Connecting {
		p.attempt = p.outage.attempt
	}
}

// planned holds a plan against the promises.
func (p *promises) planned(plan Plan) {
	size, ready, all := p.Size(), p.count(Ready), len(p.subchannels)
	p.must(ready >= min(p.wasReady, size), "READY falls from %d to %d, below the size %d", p.wasReady, ready, size)
	p.must(ready <= size, "%d are READY of %d", ready, size)
	p.must(all >= size, "%d subchannels of %d", all, size)
	p.must(all <= size+Budget(size), "%d subchannels are more than the size %d and the budget", all, size)
	p.mustAttempt(plan)
	p.mustTell(plan)
	p.mustList(plan)
}

func (p *promises) mustAttempt(plan Plan) {
	if p.outage == nil {
		return
	}
	begun := 0
	for _, d := range plan.Dial {
		if d.Address == 0 && d.dialled.Equal(p.clock.now) { // others belong to attempts that were begun before
			begun++
		}
	}
	alone := p.attempt == nil || p.attempt.phase != Connecting || p.outdated(p.attempt)
	p.must(begun == 0 || begun == 1 && alone, "in an outage %d attempts beside others", begun)
	p.must(plan.Coming == 0 || p.has(Ready), "in an outage RPCs are held, and none can end it")
	p.must(p.outage.failures > 0, "an outage without failure")
}

// mustTell checks that each connection that was opened is there or has left for a reason.
func (p *promises) mustTell(plan Plan) {
	for _, d := range plan.Decisions {
		switch d.Kind {
		case Opened:
			p.serving++
		case Renewed, Retired, Lost:
			p.must(d.Reason.Retires(), "nothing leaves for %v", d.Reason)
			p.serving--
		}
		if d.Urgent {
			p.dropped++
		}
	}
	p.must(p.countInService() == p.serving, "%d serve, and %d by the decisions", p.countInService(), p.serving)
}

// mustList checks what is in which list.
func (p *promises) mustList(plan Plan) {
	var phases [Phases]int
	for sub := range p.Subchannels() {
		phases[sub.phase]++
	}
	p.must(phases == p.Count(), "%v subchannels by phase, counted are %v", phases, p.Count())
	for _, sub := range p.subchannels {
		p.must(sub.phase < Draining && sub.Connected() == sub.InService(), "one is %v, and counts", sub.phase)
	}
	for _, sub := range p.draining {
		p.must(sub.phase == Draining && sub.Connected(), "one that drains is %v", sub.phase)
	}
	for _, d := range plan.Dial {
		p.must(d.phase == Connecting, "one dials that is %v", d.phase)
	}
	for _, sub := range plan.Drain {
		p.must(slices.Contains(p.draining, sub), "one that is %v is to drain", sub.phase)
	}
	for _, c := range plan.Close {
		p.must(c.phase == Closed, "one is closed that is %v", c.phase)
		p.must(!c.Forced || c.conn.facts.ForceClosable, "one is closed by force that cannot be")
	}
}

// check looks at the endpoint when a step is done.
func (p *promises) check() {
	size := p.Size()
	p.dropped += max(0, p.lastSize-size)
	p.lastSize, p.maxSize = size, max(p.maxSize, p.settings.MaxSize)
	p.must(len(p.draining) <= p.maxSize+p.dropped, "%d drain, more than maxSize and %d that could not wait", len(p.draining), p.dropped)
	if len(p.draining) == 0 {
		p.dropped, p.maxSize = 0, p.settings.MaxSize
	}
	b := p.Snapshot().Budget
	p.must(b.MostConnections == p.settings.MaxSize+Budget(size)+len(p.draining) && b.Connections <= b.MostConnections, "%+v", b)
	suspects := 0
	for sub := range p.Subchannels() {
		p.must(p.requests.limit > 0 || sub.RequestLimit() == 0, "a limit that is lifted holds somewhere")
		if sub.Suspect() && sub.phase != Draining {
			suspects++
		}
	}
	p.must(suspects <= 1, "%d suspects", suspects)
}
