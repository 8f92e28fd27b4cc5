package balancer

import (
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
}

// renew gives connections that are made from now on a quota of their own, if the server
// ended one of the present quota. A bound that was seen twice is the server's rule. One
// that was seen once may come from its restart, and is lifted soon.
func (q *quota) renew(now time.Time) (changed bool) {
	if took, over := q.Over(); over {
		q.until = now.Add(endsWithin)
		if took == q.took {
			q.until = time.Time{}
		}
		q.took, q.Quota = took, picker.NewQuota(took)
		return true
	}
	if q.until.IsZero() || now.Before(q.until) {
		return false
	}
	q.until = time.Time{}
	if q.Kept() {
		return false
	}
	q.Forgive()
	return true
}

// spendLocked looks whether a connection has carried what the server takes.
func (p *pool) spendLocked(s *slot, now time.Time) {
	switch load := s.sub.load; {
	case !load.Spent():
		s.spentAt = time.Time{}
	case s.spentAt.IsZero():
		s.spentAt = now
	case !now.Before(s.spentAt.Add(endsWithin)):
		load.Forgive()
		s.spentAt, p.recount = time.Time{}, true
	}
	s.sub.load.Join(s.sub.owner.quota.Quota)
}

// leaveLocked gives up the SubConn of a connection that the server ended after so many
// RPCs. Those that were picked and have no stream yet would go to the next connection
// of the SubConn, and use up its quota without having been counted; so they pick again.
func (p *pool) leaveLocked(s *slot, lane int) {
	if w := s.sub.wire; w != nil && w.Took() > 0 {
		p.left = append(p.left, s.sub.lanes[lane])
		s.sub.lanes[lane] = nil
	}
}

// hasServed reports whether the server took RPCs on the connection, though none may
// have ended yet.
func (sub *subchannel) hasServed() bool {
	load, w := sub.load, sub.wire
	return load != nil && (load.Served() || w != nil && (w.Took() > 0 || w.Polite() && load.InFlight() > 0))
}
