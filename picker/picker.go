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
	"math"
	"slices"
	"strings"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Names of the pickers that are always there.
const (
	LeastInFlight = "least_in_flight"
	RoundRobin    = "round_robin"
)

var builders = map[string]base.PickerBuilder{
	LeastInFlight: builder(func(p pool) balancer.Picker { return &leastInFlight{p} }),
	RoundRobin:    builder(newRoundRobin),
}

// A builder makes a picker of some connections.
type builder func(pool) balancer.Picker

func (b builder) Build(info base.PickerBuildInfo) balancer.Picker {
	if len(info.ReadySCs) == 0 {
		return base.NewErrPicker(balancer.ErrNoSubConnAvailable)
	}
	return b(poolOf(info))
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
	gate     *Gate
	conns    []conn // never empty
	doubtful []conn // taken only if none of conns can be
	Terms
	full  error  // for RPCs beyond the bound
	crowd *crowd // nil without a pool that publishes
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
	p.conns = make([]conn, 0, len(all))
	for i := range all {
		c := all[i].conn
		if c.doubted.Load() {
			p.doubtful = append(p.doubtful, c)
		} else {
			p.conns = append(p.conns, c)
		}
		p.gate, p.Terms, p.crowd = c.gate, c.gate.terms, c.gate.crowd.Load()
	}
	if len(p.conns) == 0 {
		p.conns, p.doubtful = p.doubtful, nil
	}
	if p.Bound > 0 { // made here, so that a pick allocates nothing
		p.full = status.Errorf(codes.ResourceExhausted,
			"subpool: maxPending: %d, as many RPCs wait already for a stream, and every connection is full", p.Bound-1)
	}
	return p
}

// any picks the first connection, from start on, that has room.
func (p *pool) any(start int) (balancer.PickResult, error) {
	if c := p.reserve(start); c != nil {
		return c.result, nil
	}
	if p.Hold || p.spent() {
		return p.held()
	}
	return p.overfill()
}

// spent reports whether a connection has carried what the server takes. Either that ends
// it now and another is made, or the pool finds that it does not: both bring a new picker.
func (p *pool) spent() bool {
	return slices.ContainsFunc(p.conns, func(c conn) bool { return c.Spent() })
}

// reserve takes a place on the connection start, or if that has none, on the one with the
// least to do that has: its neighbour would get the share of each that is full. Nil if none
// has.
func (p *pool) reserve(start int) *conn {
	if c := &p.conns[start]; c.reserve() {
		return c
	}
	if c := p.leastOf(start, (*conn).takes); c != nil && c.reserve() {
		return c
	}
	for _, conns := range [][]conn{p.conns, p.doubtful} { // other picks were sooner
		for i := range conns {
			if c := &conns[i]; c.reserve() {
				return c
			}
		}
	}
	return nil
}

// held lets the RPC wait until a connection that is on its way arrives or fails,
// or a place comes free.
func (p *pool) held() (balancer.PickResult, error) {
	p.crowd.waiting.Add(1)
	call(p.gate.Pressure)
	// A place that came free before the RPC was counted told nobody.
	if c := p.reserve(0); c != nil {
		p.crowd.waiting.Add(-1)
		return c.result, nil
	}
	if !p.Hold && !p.spent() { // it only looked so, while another pick was being undone
		p.crowd.waiting.Add(-1)
		return p.overfill()
	}
	return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
}

// overfill lets the RPC wait in the connection where it has the fewest before it,
// unless as many as may wait do. It adds before it checks, or racing picks could
// become too many; those that had to undo it look again. If all connections drain, a
// newer picker is published or about to be, and gRPC looks there.
func (p *pool) overfill() (balancer.PickResult, error) {
	for range overfillTries {
		if p.Bound > 0 && p.waiting() >= p.Bound-1 {
			break
		}
		least := p.least()
		if !least.force() {
			return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
		}
		if p.Bound == 0 || p.waiting() <= p.Bound-1 {
			p.gate.count(&p.gate.queued)
			return least.result, nil
		}
		least.undo()
	}
	p.gate.count(&p.gate.refused)
	return balancer.PickResult{}, p.full
}

const overfillTries = 4

// least returns the connection with the fewest RPCs for its limit.
func (p *pool) least() *conn {
	least, fewest := &p.conns[0], p.conns[0].share()
	for i := range p.conns {
		if share := p.conns[i].share(); share < fewest {
			least, fewest = &p.conns[i], share
		}
	}
	return least
}

// waiting returns how many RPCs wait for a stream in all connections, and in those
// that drain.
func (p *pool) waiting() (n int) {
	for _, conns := range [][]conn{p.conns, p.doubtful} {
		for i := range conns {
			n += conns[i].excess()
		}
	}
	for _, l := range p.Leaving {
		n += l.excess()
	}
	return n
}

// excess returns how many RPCs are in flight above the limit.
func (l *Load) excess() int { return max(0, l.InFlight()-int(l.limit.Load())) }

// takes reports whether there is room, as far as can be told without taking it.
func (l *Load) takes() bool {
	w := l.word.Load()
	return uint32(w) < l.limit.Load() && uint32(w>>32) < l.most.Load()
}

// share is how soon one RPC more finds a stream, by comparison: with a limit of 0
// never, nor where the connection is spent, and one that drains takes none.
func (l *Load) share() uint64 {
	w, limit := l.word.Load(), uint64(l.limit.Load())
	n := w & inFlightMask
	switch {
	case w&drainingBit != 0:
		return math.MaxUint64
	case limit == 0 || uint32(w>>32) >= l.most.Load():
		return 1<<63 + n
	}
	return n << 31 / limit
}
