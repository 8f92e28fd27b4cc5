package picker

import (
	"math/rand/v2"
	"sync/atomic"

	"google.golang.org/grpc/balancer"

	"github.com/grpc-subpool/subpool/internal/load"
)

// roundRobin takes the connections in turn.
type roundRobin struct {
	pool
	next atomic.Uint64 // never wraps: there the turns would not be exact
}

// newRoundRobin starts at random, or every new picker would favour the first connection.
func newRoundRobin(s load.Input) balancer.Picker {
	r := &roundRobin{pool: poolOf(s)}
	r.next.Store(rand.Uint64N(uint64(len(r.conns))))
	return r
}

func (p *roundRobin) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	if p.Waiters.ExpectsRepicks() && p.Waiters.PicksAgain(info.Ctx) {
		return p.retry(info)
	}
	turn := p.next.Add(1) % uint64(len(p.conns))
	if c := p.conns[turn]; c.Reserve() {
		p.Waiters.Placed(info.Ctx)
		return c.Picked(), nil
	}
	return p.pickFrom(int(turn), info)
}
