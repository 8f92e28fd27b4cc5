package picker

import (
	"math"
	"sync/atomic"
)

// A Quota is how many RPCs a server takes on each of some connections before it ends
// them: nginx calls it keepalive_requests. Such a server refuses what came behind the
// last one, and gRPC sends an RPC that was refused to another connection, but only
// once; so that one must not be at its end, too.
type Quota struct {
	most atomic.Uint32 // RPCs that a connection may carry in all; 0 if it is over
	took atomic.Uint32 // how many the server took on the one that ended first
	kept atomic.Bool   // see Kept
}

// NewQuota returns a Quota of most RPCs; 0 stands for no bound.
func NewQuota(most int) *Quota {
	q := new(Quota)
	q.most.Store(unbounded)
	if most > 0 {
		q.most.Store(uint32(most))
	}
	return q
}

const unbounded = math.MaxUint32

// Over reports whether the server ended a connection of q before q said so, and after
// how many RPCs. The others may be at their end as well: none is picked any more.
func (q *Quota) Over() (took int, over bool) {
	return int(q.took.Load()), q.most.Load() == 0
}

// Forgive lifts the bound: the server did not end a connection that reached it.
func (q *Quota) Forgive() { q.most.Store(unbounded) }

// Kept reports whether the server ended a connection just when the bound was reached.
func (q *Quota) Kept() bool { return q.kept.Load() }

// Under puts the connection under q. It comes before the first picker that has l.
func (l *Load) Under(q *Quota) { l.quota.Store(q) }

// Join puts the connection under q where neither is bounded. It outlived others that the
// server ended, with a Quota of its own; from here on it may end together with those of q.
func (l *Load) Join(q *Quota) {
	if own := l.quota.Load(); own != q && own.unbounded() && q.unbounded() {
		l.quota.Store(q)
	}
}

func (q *Quota) unbounded() bool { return q.most.Load() == unbounded }

// Refused says that the server ends the connection, and took that many of its RPCs.
// If it refused others it is news, unless the Quota knew. It must be called before
// gRPC learns of it: from here on no RPC that gRPC sends again meets a connection that
// may refuse it once more.
func (l *Load) Refused(took int) (news bool) {
	// What is picked until gRPC knows would be refused, too, and not be counted here.
	starts := uint32(l.word.Or(drainingBit) >> 32)
	took = max(took, 0)
	q := l.quota.Load()
	if took > 0 && q.most.Load() == uint32(took) {
		q.kept.Store(true)
		return false
	}
	if starts <= uint32(took) {
		return false
	}
	q.took.CompareAndSwap(0, uint32(took))
	q.most.Store(0)
	return true
}

// Spent reports whether the connection has carried what it may.
func (l *Load) Spent() bool { return l.Starts() >= l.quota.Load().most.Load() }

// Forgive lifts the bound of the connection, and of those that share it.
func (l *Load) Forgive() { l.quota.Load().Forgive() }
