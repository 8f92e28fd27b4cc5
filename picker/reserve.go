package picker

import (
	"math"

	"github.com/grpc-subpool/subpool/internal/load"
)

// reserve takes a place on the connection with the least cost that has one and is not shunned: the
// neighbour of one that is full would get the share of each that is. The suspects come after all
// others. Nil if none has.
func (p *pool) reserve(start int) *load.Load {
	cost := p.leastCost()
	may := func(c *load.Load) bool { return c.HasRoom() && !shuns(c, cost) }
	for range p.all { // a racing pick may have been sooner
		if c := p.least(start, may); c == nil || c.Reserve() {
			return c
		}
	}
	return nil
}

// least is leastOf the suspects only if no other connection may be taken.
func (p *pool) least(start int, may func(*load.Load) bool) *load.Load {
	if c := leastOf(p.conns, start, may); c != nil {
		return c
	}
	return leastOf(p.all[len(p.conns):], start, may)
}

// leastOf returns the connection with the least cost of those that may be taken: of equal ones the
// first from start on. Nil if none may.
func leastOf(conns []*load.Load, start int, may func(*load.Load) bool) (least *load.Load) {
	for i := range conns {
		c := conns[(start+i)%len(conns)]
		if (least == nil || c.Cost() < least.Cost()) && may(c) {
			least = c
		}
	}
	return least
}

// reserveAny takes a place even on a connection that is shunned: an RPC is held or refused only where
// none has room, or nothing would tell it of the room that there is.
func (p *pool) reserveAny() *load.Load {
	if c := p.reserve(0); c != nil {
		return c
	}
	for _, c := range p.all {
		if c.HasRoom() && c.Reserve() {
			return c
		}
	}
	return nil
}

// reserveStream takes a place on the least loaded connection that has a stream, though it reached its
// request limit: the RPC does not wait there, and no bound of those that do holds for it. Nil if there is
// none.
func (p *pool) reserveStream() *load.Load {
	for range p.all { // a racing pick may have been sooner
		if c := p.least(0, (*load.Load).HasStreamOnly); c == nil || c.ReserveQueued() {
			return c
		}
	}
	return nil
}

// shuns reports whether an RPC should rather be queued in a full connection: c has room because
// its server fails RPCs at once, one after the other, and these come to more than the cost of another
// one, the least. So c gets its share of the RPCs, and no more.
func shuns(c *load.Load, cost uint64) bool { return c.FailedInARow() > cost }

// leastCost is that of the connections in which an RPC finds a stream, be it late.
func (p *pool) leastCost() (cost uint64) {
	cost = math.MaxUint64
	for _, c := range p.conns {
		if !c.Blocked() {
			cost = min(cost, c.Cost())
		}
	}
	return cost
}

// soonest returns the connection in which an RPC that is queued finds a stream soonest, of those
// that are not shunned: of equal ones the first from start on. Unless they change meanwhile, one at least is not.
func (p *pool) soonest(start int) *load.Load {
	cost := p.leastCost()
	soonest := p.conns[start]
	for i := range p.conns {
		c := p.conns[(start+i)%len(p.conns)]
		if shuns(soonest, cost) || c.RelativeLoad() < soonest.RelativeLoad() && !shuns(c, cost) {
			soonest = c
		}
	}
	return soonest
}

// reserveFresh takes a place on the youngest of the fresh connections: where a server ends each
// at some age it is the one to last. A plain channel has no other. Nil if none has room.
func (p *pool) reserveFresh() *load.Load {
	for range p.conns { // a racing pick may have been sooner
		var youngest *load.Load
		for _, c := range p.conns {
			if c.Fresh() && c.HasRoom() && (youngest == nil || c.YoungerThan(youngest)) {
				youngest = c
			}
		}
		if youngest == nil || youngest.Reserve() {
			return youngest
		}
	}
	return nil
}
