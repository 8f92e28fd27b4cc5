package balancer

import (
	"slices"

	"github.com/grpc-subpool/subpool/internal/lifecycle"
	"github.com/grpc-subpool/subpool/internal/load"
)

// sum is what the endpoints of a pool come to. It is kept by difference: a step adds up only
// the endpoints that it has planned.
type sum struct {
	states [lifecycle.States]int // endpoints that the resolver lists, by state
	holds  int                   // that hold RPCs for which there is no room
	used   int                   // to which RPCs were sent of late
	phases phases                // of all subchannels

	active bool // any is used, as they were told
	share  int  // of the RPCs that are held, as each was told
	limits bool // the stream limit of any may be another one
}

// part is what an endpoint adds to the sum.
type part struct {
	listed     bool
	state      lifecycle.State
	hold, used bool
	phases     phases
	limit      int
	limitKnown bool
	ready      []*load.Load // of the READY connections, oldest first
}

// addUp puts the present part of e in the place of the last one. It reports whether other
// connections are READY, or suspect.
func (x *endpoints) addUp(e *endpoint) (changed bool) {
	old, now := &e.part, part{listed: !e.Removed() && !e.plan.Ended, state: e.State(), hold: e.plan.Hold, used: e.Used()}
	for s := range e.Subchannels() {
		now.phases[s.Phase()]++
	}
	n := 0
	for s := range e.ready() {
		l := s.conn.load
		changed = changed || n >= len(old.ready) || old.ready[n] != l || l.Suspect() != s.Suspect()
		l.SetSuspect(s.Suspect())
		n++
	}
	now.ready = old.ready
	if changed = changed || n != len(old.ready); changed {
		now.ready = make([]*load.Load, 0, n)
		for s := range e.ready() {
			now.ready = append(now.ready, s.conn.load)
		}
	}
	now.limit, now.limitKnown = e.AdvertisedLimit()
	x.sum.limits = x.sum.limits || now.limit != old.limit || now.limitKnown != old.limitKnown || now.listed != old.listed
	x.sum.add(old, -1)
	x.sum.add(&now, 1)
	e.part = now
	return changed
}

func (x *sum) add(p *part, n int) {
	if p.listed {
		x.states[p.state] += n
	}
	if p.hold {
		x.holds += n
	}
	if p.used {
		x.used += n
	}
	for phase, subchannels := range p.phases {
		x.phases[phase] += n * subchannels
	}
}

// state is that of the pool: READY if any endpoint is, else CONNECTING if any is, else IDLE if
// any is, for an RPC would wake it, else TRANSIENT_FAILURE.
func (x *sum) state() lifecycle.State {
	if i := slices.IndexFunc(x.states[:], func(n int) bool { return n > 0 }); i >= 0 {
		return lifecycle.State(i)
	}
	return lifecycle.StateTransientFailure
}
