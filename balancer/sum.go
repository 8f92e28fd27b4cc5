package balancer

import (
	"cmp"
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

	missing int // subchannels that the demand calls for beyond maxSize

	listed int         // endpoints that the resolver lists
	known  int         // those of them whose stream limit is known
	limits map[int]int // those of them by their stream limit; of thousands most have the same
	ready  []load.Conn // READY connections, oldest first

	active bool // any is used, as they were told
	share  int  // of the RPCs that are held, as each was told
}

// part is what an endpoint adds to the sum.
type part struct {
	listed     bool
	state      lifecycle.State
	hold, used bool
	phases     phases
	missing    int
	limit      int
	limitKnown bool
	ready      []load.Conn // oldest first
}

// addUp puts the present part of e in the place of the last one. It reports whether other
// connections are READY, or suspect.
func (x *sum) addUp(e *endpoint) (changed bool) {
	old, now := &e.part, part{listed: !e.Removed() && !e.plan.Ended, state: e.State(), hold: e.plan.Hold, used: e.Used()}
	now.phases, now.missing = e.Count(), e.Missing()
	now.limit, now.limitKnown = e.AdvertisedLimit()
	now.ready = old.ready
	if changed = !e.sameReady(old.ready); changed {
		now.ready = e.readyConns()
		x.replaceReady(old.ready, now.ready)
	}
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
	if p.hold {
		x.holds += n
	}
	if p.used {
		x.used += n
	}
	x.missing += n * p.missing
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

// sameReady reports whether the READY connections of e are these.
func (e *endpoint) sameReady(conns []load.Conn) bool {
	n := 0
	for s := range e.ready() {
		if n >= len(conns) || conns[n].Load != s.conn.load || conns[n].Suspect != s.Suspect() {
			return false
		}
		n++
	}
	return n == len(conns)
}

func (e *endpoint) readyConns() (conns []load.Conn) {
	for s := range e.ready() {
		sub := s.activeSubConn()
		conns = append(conns, load.Conn{
			ID: int(s.ID()), SubConn: sub.sc, Address: &sub.addr,
			Load: s.conn.load, Done: s.conn.load.DoneFunc(), Suspect: s.Suspect(),
		})
	}
	return conns
}

// replaceReady puts connections of an endpoint in the place of its last ones. Both are in the
// order of their ids.
func (x *sum) replaceReady(old, now []load.Conn) {
	for len(old)+len(now) > 0 {
		switch {
		case len(now) == 0 || len(old) > 0 && old[0].ID < now[0].ID:
			at, _ := x.find(old[0].ID)
			x.ready = slices.Delete(x.ready, at, at+1)
			old = old[1:]
		case len(old) == 0 || now[0].ID < old[0].ID:
			at, _ := x.find(now[0].ID)
			x.ready = slices.Insert(x.ready, at, now[0])
			now = now[1:]
		default:
			if old[0].Load != now[0].Load || old[0].Suspect != now[0].Suspect {
				at, _ := x.find(now[0].ID)
				x.ready[at] = now[0]
			}
			old, now = old[1:], now[1:]
		}
	}
}

func (x *sum) find(id int) (at int, found bool) {
	return slices.BinarySearchFunc(x.ready, id, func(c load.Conn, id int) int { return cmp.Compare(c.ID, id) })
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
