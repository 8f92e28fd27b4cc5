package balancer

import (
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/picker"
)

// endsWithin is how long a server may take to end a connection that carried as many
// RPCs as it takes on one, or that is older than one which it ended without a warning.
// Until then the connection gets no RPCs. If the server does not, it changed its mind.
const endsWithin = 500 * time.Millisecond

// A quota is what the pool knows of how many RPCs a server takes on a connection.
type quota struct {
	*picker.Quota           // of connections that are made now
	took          int       // what the last one allowed
	until         time.Time // when it is lifted, unless the server keeps to it; or zero

	calm time.Time     // others go on until then when one is ended
	gap  time.Duration // how long that was the last time
}

// renew gives connections that are made from now on a quota of their own, if the server
// ended one of the present quota. A bound that was seen twice is the server's rule. One
// that was seen once may come from its restart, and is lifted soon.
func (q *quota) renew(now time.Time) (changed bool) {
	q.Soften(now.Before(q.calm))
	bound := q.Bound()
	if took, over := q.Over(); over {
		q.until = now.Add(endsWithin)
		if took == q.took {
			q.until = time.Time{}
		}
		q.took, q.Quota = took, picker.NewQuota(took)
		q.Soften(now.Before(q.calm))
		return true
	}
	if q.until.IsZero() || now.Before(q.until) {
		return false
	}
	q.until = time.Time{}
	if q.Kept() {
		return false
	}
	q.Forgive(bound)
	return true
}

// wrong says that most connections were taken for being at their end and were not: lives
// may differ, or one of several servers behind the same address restarted. To stop all of
// them for each that ends would cost more than it saves, so they go on for a while.
func (q *quota) wrong(now time.Time) {
	if now.Sub(q.calm) > maxCalm {
		q.gap = 0
	}
	q.gap = min(max(2*q.gap, time.Second), maxCalm)
	q.calm = now.Add(q.gap)
	q.Soften(true)
}

// maxCalm is the longest that others go on when one is ended.
const maxCalm = 5 * time.Minute

// renewQuota renews the quota. Connections that outlived those which the server ended have
// an earlier one; when it ends any, they may all be at their end.
func (e *endpointOf) renewQuota(now time.Time) (changed bool) {
	before := e.quota.Quota
	changed = e.quota.renew(now)
	if e.quota.Quota == before {
		return changed
	}
	kin := []*picker.Quota{e.quota.Quota}
	for _, s := range e.slots {
		if load := s.sub.load; s.connected() && load != nil && !slices.Contains(kin, load.Quota()) {
			kin = append(kin, load.Quota())
		}
	}
	picker.Together(kin...)
	return changed
}

// under returns how many connections are still there of those under q.
func (e *endpointOf) under(q *picker.Quota) (n int) {
	for _, s := range e.slots {
		if s.connected() && s.sub.load.Quota() == q {
			n++
		}
	}
	return n
}

// spendLocked looks whether a connection has carried what the server takes. While RPCs
// wait in it for a stream the server has not seen as many yet.
func (p *pool) spendLocked(s *slot, now time.Time) {
	load, e := s.sub.load, s.sub.owner
	q := load.Quota()
	bound := q.Bound()
	switch {
	case !load.Spent():
		s.spentAt = time.Time{}
	case s.spentAt.IsZero() || load.InFlight() > s.limit:
		s.spentAt = now
	case !now.Before(s.spentAt.Add(endsWithin)):
		if bound == 0 && e.under(q) > q.Ends() {
			e.quota.wrong(now)
		}
		q.Forgive(bound)
		s.spentAt, p.recount = time.Time{}, true
	}
	load.Join(e.quota.Quota)
}

// leaveLocked gives up the SubConn of a connection that the server ended without a
// warning. RPCs that were picked and have no stream yet would go to the next connection
// of the SubConn, and use up its quota without having been counted; so they pick again.
func (p *pool) leaveLocked(s *slot, lane int) {
	if w := s.sub.wire; w != nil && w.Blunt() {
		p.left = append(p.left, s.sub.lanes[lane])
		s.sub.lanes[lane] = nil
	}
}

// hasServed reports whether the server took RPCs on the connection, though none may
// have ended yet.
func (sub *subchannel) hasServed() bool {
	load, w := sub.load, sub.wire
	return load != nil && (load.Served() || w != nil && w.Polite() && load.InFlight() > 0)
}
