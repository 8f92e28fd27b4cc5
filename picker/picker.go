// Package picker spreads RPCs over the READY connections of a pool.
//
// A picker is an immutable slice of connections and the atomics that it points
// at; each change of the set makes a new picker. The builders here are gRPC's
// own [base.PickerBuilder]s and also work under [base.NewBalancerBuilder]; there
// each new picker starts to count from zero.
package picker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
)

// Names of the pickers that are always there.
const (
	LeastInFlight = "least_in_flight"
	RoundRobin    = "round_robin"
)

var builders = map[string]base.PickerBuilder{
	LeastInFlight: leastInFlightBuilder{},
	RoundRobin:    roundRobinBuilder{},
}

// Register makes b available as the picker name of the settings. The pickers
// that b builds are wrapped, so that RPCs are counted and a connection that is
// being retired gets no more of them, whatever b does.
//
// Like balancer.Register it must only be called from an init function; a name
// registered twice means the later builder.
func Register(name string, b base.PickerBuilder) { builders[name] = wrapped{b} }

// Builder returns the builder registered as name, or nil.
func Builder(name string) base.PickerBuilder { return builders[name] }

// Check reports a name that no builder is registered as.
func Check(name string) error {
	if Builder(name) == nil {
		return fmt.Errorf("subpool: picker: %q, must be one of %s", name, strings.Join(Names(), ", "))
	}
	return nil
}

// Names returns the names of all registered builders, in order.
func Names() []string { return slices.Sorted(maps.Keys(builders)) }

// A conn is a READY connection, ready to be picked.
type conn struct {
	*Load
	result balancer.PickResult
}

// A pool is the connections of one picker, in their order.
type pool struct {
	conns []conn
	hold  bool // see Gate.Hold
	crowd *crowd
}

// poolOf returns the connections of info. One that came without a Load, because
// this is not the subpool policy, gets a fresh one.
func poolOf(info base.PickerBuildInfo) (p pool) {
	type ordered struct {
		conn
		order int
	}
	all := make([]ordered, 0, len(info.ReadySCs))
	for sc, sci := range info.ReadySCs {
		at, ok := sci.Address.Attributes.Value(placeKey{}).(place)
		if !ok {
			at.load = NewLoad(new(Gate))
		}
		c := conn{at.load, balancer.PickResult{SubConn: sc, Done: at.load.done}}
		all = append(all, ordered{c, at.order})
	}
	slices.SortFunc(all, func(a, b ordered) int { return cmp.Compare(a.order, b.order) })
	p.conns = make([]conn, len(all))
	for i := range all {
		p.conns[i] = all[i].conn
		p.hold, p.crowd = all[i].gate.holding.Load(), all[i].gate.crowd.Load()
	}
	return p
}

// any picks the first connection, from start on, that has room.
func (p *pool) any(start int) (balancer.PickResult, error) {
	for i := range p.conns {
		if c := &p.conns[(start+i)%len(p.conns)]; c.reserve() {
			return c.result, nil
		}
	}
	if p.hold {
		return p.held()
	}
	return p.overfill()
}

// held lets the RPC wait until a connection that is on its way arrives or fails,
// or a place comes free.
func (p *pool) held() (balancer.PickResult, error) {
	p.crowd.waiting.Add(1)
	call(p.conns[0].gate.Pressure)
	// A place that came free before the RPC was counted told nobody.
	for i := range p.conns {
		if c := &p.conns[i]; c.reserve() {
			p.crowd.waiting.Add(-1)
			return c.result, nil
		}
	}
	return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
}

// overfill lets the RPC wait in the connection with the fewest. If all drain, a
// newer picker is published or about to be, and gRPC looks there.
func (p *pool) overfill() (balancer.PickResult, error) {
	least := &p.conns[0]
	for i := range p.conns {
		// The draining bit makes a count larger than any other.
		if uint32(p.conns[i].word.Load()) < uint32(least.word.Load()) {
			least = &p.conns[i]
		}
	}
	if least.force() {
		return least.result, nil
	}
	return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
}
