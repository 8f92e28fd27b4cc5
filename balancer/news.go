package balancer

import (
	"sync/atomic"
	"time"

	"github.com/grpc-subpool/subpool/internal/load"
)

// A step costs as much as the endpoints that it is about, not as all that the pool has. It plans
// those that are marked, for something happened to them or their deadline has come:
//
//	listener of a SubConn, new settings, Recycle ───────────────▶ mark
//	a connection, where gRPC holds locks ──▶ tell ──▶ wake ─────▶ mark
//	deadlines ──▶ timer ──▶ wake ───────────────────────────────▶ mark
//	what concerns all: held RPCs, use of late, ExitIdle ────────▶ mark all

// news is what connections of one endpoint tell from where gRPC holds locks. A flag is set
// before the endpoint is pushed on the stack, and read after it was taken from there, for:
//   - the pool reads the flag, the connection sets it and finds the endpoint on the stack
//     still, and the pool takes it from there: nothing would read the flag.
type news struct {
	changed flag // a connection may be drained or healthy, answers nothing, or answered its first RPC in an outage
	demand  flag // a connection carries so much that the endpoint may have to grow, or its limit changed
	stacked atomic.Bool
	below   *endpoint // on the stack, while stacked
}

type flag struct{ atomic.Bool }

// take lowers the flag, before the pool looks: what changes after that raises it again.
func (f *flag) take() bool { return f.Load() && f.Swap(false) }

// newsStack is the endpoints that have news.
type newsStack struct{ top atomic.Pointer[endpoint] }

func (s *newsStack) push(e *endpoint) {
	if !e.news.stacked.CompareAndSwap(false, true) {
		return
	}
	for {
		e.news.below = s.top.Load()
		if s.top.CompareAndSwap(e.news.below, e) {
			return
		}
	}
}

// take empties the stack.
func (s *newsStack) take(each func(*endpoint)) {
	for e := s.top.Swap(nil); e != nil; {
		below := e.news.below
		e.news.below = nil
		e.news.stacked.Store(false)
		each(e)
		e = below
	}
}

// signalsOf are what tells of connections of e.
func (p *pool) signalsOf(e *endpoint) *load.Signals {
	tell := func(f *flag) func() {
		return func() {
			if !f.Load() && f.CompareAndSwap(false, true) {
				p.told.push(e)
				p.signals.changed.raise()
			}
		}
	}
	return &load.Signals{Changed: tell(&e.news.changed), Demand: tell(&e.news.demand)}
}

// mark has the endpoint planned in the next step.
func (x *endpoints) mark(e *endpoint) {
	if !e.marked && !e.plan.Ended { // connections of one that has ended may linger, and tell
		e.marked = true
		x.marked = append(x.marked, e)
	}
}

func (x *endpoints) markAll() {
	for _, e := range x.list {
		x.mark(e)
	}
}

// markDueLocked marks what has news, or a deadline that has come.
func (p *pool) markDueLocked(now time.Time) {
	for e := p.endpoints.deadlines.take(now); e != nil; e = p.endpoints.deadlines.take(now) {
		p.endpoints.mark(e)
		p.lookAtDemandLocked(e, now)
	}
	for _, e := range p.dials.take(now) {
		p.endpoints.mark(e)
	}
	p.told.take(func(e *endpoint) {
		if e.news.changed.take() {
			p.endpoints.mark(e)
		}
		p.lookAtDemandLocked(e, now)
		if !e.marked {
			p.setDeadlineLocked(e)
		}
	})
}

// demandChecks is the least time between two looks at the demand of an endpoint, and
// perConnection what is added for each connection: many picks may tell of it while it is not yet
// enough to grow, or no more.
const (
	demandChecks  = time.Millisecond
	perConnection = 5 * time.Microsecond
)

// lookAtDemandLocked marks e for its demand, if it is time to.
func (p *pool) lookAtDemandLocked(e *endpoint, now time.Time) {
	if !now.Before(e.nextDemand) && e.news.demand.take() {
		e.nextDemand = now.Add(demandChecks + time.Duration(len(e.subchannels))*perConnection)
		p.endpoints.mark(e)
	}
}

// setDeadlineLocked sets when e is to be planned without news. Demand that was told and not
// looked at yet is news.
func (p *pool) setDeadlineLocked(e *endpoint) {
	at := e.plan.Next
	if e.news.demand.Load() && (at.IsZero() || e.nextDemand.Before(at)) {
		at = e.nextDemand
	}
	p.endpoints.deadlines.set(e, at)
}
