package balancer

import (
	"cmp"
	"iter"
	"slices"

	"github.com/grpc-subpool/subpool/internal/lifecycle"
	"github.com/grpc-subpool/subpool/internal/load"
)

// sum is what the endpoints of a pool come to. It is kept by difference: a step adds up only
// the endpoints that it has planned.
type sum struct {
	states [lifecycle.States]int // endpoints that the resolver lists, by state
	coming int                   // connections for which RPCs are held where there is no room
	used   int                   // to which RPCs were sent of late
	phases phases                // of all subchannels

	missing int // subchannels that the demand calls for beyond maxSize

	listed int         // endpoints that the resolver lists
	known  int         // those of them whose stream limit is known
	limits map[int]int // those of them by their stream limit; of thousands most have the same

	ready, suspect loads // of READY connections; suspect are those that are taken only if no other can be

	active bool // any is used, as they were told
	share  int  // of the RPCs that are held, as each was told
}

// part is what an endpoint adds to the sum.
type part struct {
	listed     bool
	state      lifecycle.State
	used       bool
	phases     phases
	missing    int
	coming     int
	limit      int
	limitKnown bool

	ready, suspect loads
}

// loads are in the order of their ids.
type loads []*load.Load

// addUp puts the present part of e in the place of the last one. It reports whether other
// connections are READY, or suspect.
func (x *sum) addUp(e *endpoint) (changed bool) {
	old, now := &e.part, part{listed: !e.Removed() && !e.plan.Ended, state: e.State(), coming: e.plan.Coming, used: e.Used()}
	now.phases, now.missing = e.Count(), e.Missing()
	now.limit, now.limitKnown = e.AdvertisedLimit()
	now.ready, now.suspect = old.ready, old.suspect
	changed = x.ready.replace(&now.ready, e.readyLoads(false))
	changed = x.suspect.replace(&now.suspect, e.readyLoads(true)) || changed
	x.add(old, -1)
	x.add(&now, 1)
	e.part = now
	return changed
}

func (x *sum) add(p *part, n int) {
	if p.listed {
		x.listed += n
		x.states[p.state] += n
		if x.limits[p.limit] += n; x.limits[p.limit] == 0 {
			delete(x.limits, p.limit)
		}
		if p.limitKnown {
			x.known += n
		}
	}
	if p.used {
		x.used += n
	}
	x.missing += n * p.missing
	x.coming += n * p.coming
	for phase, subchannels := range p.phases {
		x.phases[phase] += n * subchannels
	}
}

// setUsed is for use that is known before there is a plan.
func (x *sum) setUsed(e *endpoint, used bool) {
	switch {
	case used && !e.part.used:
		x.used++
	case !used && e.part.used:
		x.used--
	}
	e.part.used = used
}

// readyLoads goes through those of READY connections, either the suspect ones or the others.
func (e *endpoint) readyLoads(suspect bool) iter.Seq[*load.Load] {
	return func(yield func(*load.Load) bool) {
		for s := range e.ready() {
			if s.Suspect() == suspect && !yield(s.conn.load) {
				return
			}
		}
	}
}

// replace puts what is now in the place of an endpoint's part. It reports whether that differs.
func (l *loads) replace(part *loads, now iter.Seq[*load.Load]) bool {
	if part.equal(now) {
		return false
	}
	gone, come := *part, slices.AppendSeq(make(loads, 0, len(*part)+1), now)
	*part = come
	for len(gone) > 0 && len(come) > 0 && gone[0] == come[0] { // one of a thousand may have changed
		gone, come = gone[1:], come[1:]
	}
	for len(gone) > 0 && len(come) > 0 && gone[len(gone)-1] == come[len(come)-1] {
		gone, come = gone[:len(gone)-1], come[:len(come)-1]
	}
	for _, x := range gone {
		at, _ := l.find(x)
		*l = slices.Delete(*l, at, at+1)
	}
	for _, x := range come {
		at, _ := l.find(x)
		*l = slices.Insert(*l, at, x)
	}
	return true
}

func (l *loads) equal(now iter.Seq[*load.Load]) bool {
	n := 0
	for x := range now {
		if n >= len(*l) || (*l)[n] != x {
			return false
		}
		n++
	}
	return n == len(*l)
}

func (l *loads) find(x *load.Load) (at int, found bool) {
	return slices.BinarySearchFunc(*l, x, func(a, b *load.Load) int { return cmp.Compare(a.ID(), b.ID()) })
}

// limit is the smallest stream limit of all endpoints that are listed; ok is false where some
// are, and none of them knows any.
func (x *sum) limit() (limit int, ok bool) {
	limit = noLimit
	for l := range x.limits {
		limit = min(limit, l)
	}
	return limit, x.listed == 0 || x.known > 0
}

// state is that of the pool: READY if any endpoint is, else CONNECTING if any is, else IDLE if
// any is, for an RPC would wake it, else TRANSIENT_FAILURE.
func (x *sum) state() lifecycle.State {
	if i := slices.IndexFunc(x.states[:], func(n int) bool { return n > 0 }); i >= 0 {
		return lifecycle.State(i)
	}
	return lifecycle.StateTransientFailure
}
