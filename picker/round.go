package picker

import (
	"math/rand/v2"
	"sync/atomic"

	"google.golang.org/grpc/balancer"
)

// roundRobin takes the connections in turn.
type roundRobin struct {
	pool
	next atomic.Uint64 // never wraps: there the turns would not be exact
}

// newRoundRobin starts at random, or every new picker would favour the first connection.
func newRoundRobin(p pool) balancer.Picker {
	r := &roundRobin{pool: p}
	r.next.Store(rand.Uint64N(uint64(len(p.conns))))
	return r
}

func (p *roundRobin) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	if p.gate.Repeats() && p.gate.isRepeat(info) {
		return p.repeat(info)
	}
	return p.any(int(p.next.Add(1) % uint64(len(p.conns))))
}
