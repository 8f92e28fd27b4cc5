package picker

import (
	"math/rand/v2"
	"sync/atomic"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
)

type roundRobinBuilder struct{}

func (roundRobinBuilder) Build(info base.PickerBuildInfo) balancer.Picker {
	if len(info.ReadySCs) == 0 {
		return base.NewErrPicker(balancer.ErrNoSubConnAvailable)
	}
	p := &roundRobin{pool: poolOf(info)}
	// A random start, or every new picker would favour the first connection.
	p.next.Store(rand.Uint64N(uint64(len(p.conns))))
	return p
}

// roundRobin takes the connections in turn.
type roundRobin struct {
	pool
	next atomic.Uint64 // never wraps: there the turns would not be exact
}

func (p *roundRobin) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	if p.gate.Repeats() && p.gate.isRepeat(info) {
		return p.repeat(info)
	}
	return p.any(int(p.next.Add(1) % uint64(len(p.conns))))
}
