// Package picker spreads RPCs over the READY connections of a pool. A picker is an immutable
// slice of these and the atomics that it points at; each change of the set makes a new one.
package picker

import (
	"maps"
	"slices"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/load"
)

// Names of the pickers that are always there.
const (
	LeastInFlight = "least_in_flight"
	RoundRobin    = "round_robin"
)

var builders = map[string]func(load.Input) balancer.Picker{
	LeastInFlight: func(s load.Input) balancer.Picker { return &leastInFlight{poolOf(s)} },
	RoundRobin:    newRoundRobin,
}

// Register makes b available as the picker name of the settings. The pickers that b builds
// are wrapped, so that RPCs are counted and a connection that is being retired gets no more
// of them, whatever b does. They are never built without a READY connection.
//
// Like balancer.Register it must only be called from an init function; a name
// registered twice means the later builder.
func Register(name string, b base.PickerBuilder) {
	builders[name] = func(s load.Input) balancer.Picker { return wrap(b, s) }
}

// Names returns the names of all registered pickers, in order.
func Names() []string { return slices.Sorted(maps.Keys(builders)) }

// Build returns a picker of the connections of s. The name must be one of Names. Only the
// subpool policy can call it, for s is of an internal package.
func Build(name string, s load.Input) balancer.Picker { return builders[name](s) }

// A pool is the connections of one picker, in their order.
type pool struct {
	load.Input              // without Conns and Suspects
	conns      []*load.Load // never empty: the suspects if there are no others
	all        []*load.Load // conns, and then the suspects, which are taken only if none of conns can be
	full       error        // for RPCs beyond MaxQueued; made once, so that a pick allocates nothing
}

func poolOf(s load.Input) pool {
	p := pool{Input: s, all: slices.Concat(s.Conns, s.Suspects)}
	p.Conns, p.Suspects = nil, nil
	if p.conns = p.all[:len(s.Conns)]; len(p.conns) == 0 {
		p.conns = p.all
	}
	if p.MaxQueued != load.NoMaxQueued {
		p.full = status.Errorf(codes.ResourceExhausted,
			"subpool: maxPending: %d, as many RPCs wait already for a stream, and every connection is full", p.MaxQueued)
	}
	return p
}

// pickFrom picks a connection that has room: of equal ones the first from start on.
func (p *pool) pickFrom(start int, info balancer.PickInfo) (balancer.PickResult, error) {
	if c := p.reserve(start); c != nil {
		return p.place(c, info)
	}
	// Where there is room, but on a connection that is shunned, nothing would tell an RPC that is held.
	if p.holds(start) && !slices.ContainsFunc(p.all, (*load.Load).HasRoom) {
		return p.holdRPC(start, info)
	}
	return p.queue(start, info)
}

// place is the end of a pick that has taken a place on c. It is not inlined: the first try of each
// picker has its lines itself.
func (p *pool) place(c *load.Load, info balancer.PickInfo) (balancer.PickResult, error) {
	p.Waiters.Placed(info.Ctx)
	return c.Picked(), nil
}

// holds reports whether an RPC for which there is no room is held: as long as no more are held for each
// connection that is on its way than the soonest has in flight, as if each were one of N channels. Were all held, the
// others would be empty from the end of their RPCs to the next picker. With MaxQueued all are held, for few may
// be queued.
//
// RPCs are held, too, where a connection reached a request limit that is proven: either the server ends it now and
// another is made, or the policy finds that it does not. Both bring a new picker.
func (p *pool) holds(start int) bool {
	if p.Coming > 0 {
		if p.MaxQueued != load.NoMaxQueued {
			return true
		}
		if c := p.soonest(start); c.Blocked() || p.Waiters.Waiting() < p.Coming*c.InFlight() {
			return true
		}
	}
	return slices.ContainsFunc(p.conns, (*load.Load).AwaitsEnd)
}

// holdRPC lets the RPC wait until a connection that is on its way arrives or fails,
// or a place comes free. It looks twice, for:
//   - the pick finds no place; a place comes free, and as no RPC is held that is not told;
//     the RPC is held.
//   - the pick finds a request limit reached by the start of another pick, which is cancelled:
//     no new picker follows.
func (p *pool) holdRPC(start int, info balancer.PickInfo) (balancer.PickResult, error) {
	p.Waiters.Hold(p.Waiting)
	if c := p.reserveAny(); c != nil {
		p.Waiting.Unhold()
		return p.place(c, info)
	}
	if !p.holds(start) {
		p.Waiting.Unhold()
		return p.queue(start, info)
	}
	p.Waiters.Wait(info.Ctx)
	return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
}

// queue lets the RPC wait in the connection where it finds a stream soonest, unless as many
// as may wait do. It reserves before it checks, for if it checked first two picks could see
// one place left, and both take it; those that cancel look again. If all connections drain, a
// newer picker is published or about to be, and gRPC looks there: none is full, so no RPC is refused.
func (p *pool) queue(start int, info balancer.PickInfo) (balancer.PickResult, error) {
	bounded := p.MaxQueued != load.NoMaxQueued
	if c := p.reserveStream(); c != nil {
		return p.place(c, info)
	}
	for range queueTries {
		least := p.soonest(start)
		if least.Draining() {
			return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
		}
		if bounded && p.queued() >= p.MaxQueued {
			break
		}
		if least.Reserve() { // a place came free, or what failed weighs less by now
			return p.place(least, info)
		}
		if !least.ReserveQueued() {
			return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
		}
		if !bounded || p.queued() <= p.MaxQueued {
			least.Queue(info.Ctx)
			return least.Picked(), nil
		}
		least.CancelReserve()
	}
	if c := p.reserveAny(); c != nil {
		return p.place(c, info)
	}
	p.Waiters.CountRefused()
	return balancer.PickResult{}, p.full
}

const queueTries = 4

// queued returns how many RPCs wait for a stream in all connections, and in those
// that drain.
func (p *pool) queued() (n int) {
	for _, l := range p.all {
		n += l.Queued()
	}
	for _, l := range p.Draining {
		n += l.Queued()
	}
	return n
}

// retry picks for an RPC that is taken for a transparent retry. It looks twice, as holdRPC does.
func (p *pool) retry(info balancer.PickInfo) (balancer.PickResult, error) {
	c := p.reserveFresh()
	if c == nil {
		p.Waiters.HoldRetry(info.Ctx)
		c = p.reserveFresh()
	}
	if c == nil {
		return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
	}
	return p.place(c, info)
}
