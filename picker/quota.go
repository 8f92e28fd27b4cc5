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
	most atomic.Uint32 // RPCs that a connection may carry in all; 0 if none takes any more
	took atomic.Uint32 // and one: how many the server took on the one that ended first
	kept atomic.Bool   // see Kept
	mild atomic.Bool   // see Soften
	ends atomic.Int32  // see Ends
	kin  atomic.Pointer[[]*Quota]
}

// Together says of quotas that a server which ends a connection of one may end those of
// the others at the same time: it restarts, and some have outlived another restart.
func Together(quotas ...*Quota) {
	for _, q := range quotas {
		q.kin.Store(&quotas)
	}
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
	n := q.took.Load()
	return int(n) - 1, n > 0
}

// Soften says whether the others go on when that happens: that they were at their end,
// too, turned out to be wrong.
func (q *Quota) Soften(on bool) {
	if q.mild.Load() != on {
		q.mild.Store(on)
	}
}

// Bound is what Forgive lifts.
func (q *Quota) Bound() uint32 { return q.most.Load() }

// Forgive lifts a bound, unless there is a new one: the server did not keep to it. Where
// none was picked any more, they may carry as many as the one that ended.
func (q *Quota) Forgive(bound uint32) {
	next := uint32(unbounded)
	if took, _ := q.Over(); bound == 0 && took > 0 {
		next = uint32(took)
	}
	q.most.CompareAndSwap(bound, next)
}

// Kept reports whether the server ended a connection just when the bound was reached.
func (q *Quota) Kept() bool { return q.kept.Load() }

// Ends returns how many connections the server ended without a warning.
func (q *Quota) Ends() int { return int(q.ends.Load()) }

// Under puts the connection under q. It comes before the first picker that has l.
func (l *Load) Under(q *Quota) { l.quota.Store(q) }

// Quota is what the connection is under.
func (l *Load) Quota() *Quota { return l.quota.Load() }

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
	q, n := l.quota.Load(), uint32(max(0, took))
	q.ends.Add(1)
	if n > 0 && starts > 0 {
		l.served.Store(true)
	}
	if n > 0 && q.most.Load() == n {
		q.kept.Store(true)
		return false
	}
	if starts <= n {
		return false
	}
	kin := q.kin.Load()
	if kin == nil {
		kin = &[]*Quota{q}
	}
	for _, k := range *kin {
		k.took.CompareAndSwap(0, n+1)
		if !k.mild.Load() {
			k.most.Store(0)
		}
	}
	return true
}

// Spent reports whether the connection has carried what it may.
func (l *Load) Spent() bool { return l.Starts() >= l.quota.Load().most.Load() }

// Exhausted reports whether the connection has carried as many RPCs as the server is
// known to take.
func (l *Load) Exhausted() bool {
	most := l.quota.Load().most.Load()
	return most > 0 && l.Starts() >= most
}
