package balancer

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/connectivity"

	"github.com/grpc-subpool/subpool/internal/load"
	"github.com/grpc-subpool/subpool/picker"
)

// A publication is what gRPC was last told.
type publication struct {
	state  connectivity.State
	picker string
	loads  []*load.Load // of the READY connections, in their order
	doubt  []*load.Load // those that are taken only if no other can be
	most   int          // see load.Serving.MaxQueued
	err    string       // why RPCs fail, in TRANSIENT_FAILURE
	hold   bool         // RPCs for which there is no room
	starts uint32       // of the connections, when they were published
}

func (a *publication) equal(b *publication) bool {
	return a.state == b.state && a.picker == b.picker && a.err == b.err && a.hold == b.hold &&
		a.most == b.most && slices.Equal(a.loads, b.loads) && slices.Equal(a.doubt, b.doubt)
}

// publishLocked tells gRPC the pool's state, and gives it a picker, if these
// are not what it has already.
func (p *pool) publishLocked(now time.Time) {
	next := publication{state: aggregate(p.endpoints)}
	if p.cfg != nil {
		next.picker = p.cfg.Picker
		if next.most = p.cfg.MaxPending; next.most == math.MaxInt32 {
			next.most = load.NoMaxQueued
		}
	}
	var serving []*slot
	with := load.Serving{Waiters: p.waiters}
	for _, e := range p.endpoints {
		for _, s := range e.leaving {
			with.Draining = append(with.Draining, s.sub.load)
		}
		for s := range e.those(ready) {
			serving = append(serving, s)
			next.loads = append(next.loads, s.sub.load)
			s.sub.load.SetSuspect(s.doubted)
			if s.doubted {
				next.doubt = append(next.doubt, s.sub.load)
			}
		}
		next.hold = next.hold || e.holds(now)
	}
	var err error
	if next.state == connectivity.TransientFailure {
		err = p.failureLocked()
		next.err = err.Error()
	}
	released := p.repeatsEndLocked(now)
	if p.published.equal(&next) && !p.releasesLocked(now) && !p.recount && !released {
		return
	}
	p.noteStateLocked(&next, now)
	p.carryHeldLocked(&next)
	p.published = &next
	with.Waiting, with.Hold, with.MaxQueued = p.waiters.Renew(), next.hold, next.most
	if released {
		p.waiters.EndRetries()
	}
	p.nextRelease, p.heldSince, p.recount = time.Time{}, time.Time{}, false
	p.cc.UpdateState(balancer.State{ConnectivityState: next.state, Picker: p.pickerLocked(serving, with, err)})
}

// pickerLocked is the picker of what is published; err is why there is none.
func (p *pool) pickerLocked(serving []*slot, with load.Serving, err error) balancer.Picker {
	switch p.published.state {
	case connectivity.Ready:
		slices.SortFunc(serving, func(a, b *slot) int { return cmp.Compare(a.order, b.order) })
		for _, s := range serving {
			with.Conns = append(with.Conns, load.Conn{SubConn: s.won().sc, Address: s.won().addr, Load: s.sub.load})
		}
		return picker.Build(p.published.picker, with)
	case connectivity.TransientFailure:
		return base.NewErrPicker(err)
	}
	return waking{&p.roused}
}

// releasesLocked reports whether held RPCs must pick again because places came
// free: a dial that hangs holds nobody up. Many are released at once, few after a
// short while.
func (p *pool) releasesLocked(now time.Time) bool {
	some, many := p.waiters.Freed()
	if some && p.nextRelease.IsZero() {
		p.nextRelease = now.Add(growthChecks + time.Duration(p.waiters.Waiting())*perWaiting)
	}
	return many || some && !now.Before(p.nextRelease)
}

// perWaiting bounds the picks of held RPCs to 100,000 a second.
const perWaiting = 10 * time.Microsecond

// waking is the picker of a pool without a connection: an RPC wakes it where it sleeps,
// ends the backoff after a flap, as it would for a plain channel, and waits.
type waking struct{ roused *signal }

func (s waking) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	s.roused.raise()
	return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
}

// aggregate is the state of a pool of these endpoints: READY if any is, else
// CONNECTING if any is, else IDLE if any sleeps, for an RPC would wake it, else
// TRANSIENT_FAILURE.
func aggregate(endpoints []*endpointOf) connectivity.State {
	for _, state := range []connectivity.State{connectivity.Ready, connectivity.Connecting, connectivity.Idle} {
		if slices.ContainsFunc(endpoints, func(e *endpointOf) bool { return !e.removed && e.state() == state }) {
			return state
		}
	}
	return connectivity.TransientFailure
}

// failureLocked says why no connection is READY. The causes go in as text: a
// status among them would make gRPC end wait-for-ready RPCs too.
func (p *pool) failureLocked() error {
	switch {
	case p.connErr == nil || !p.hasEndpointLocked():
		return fmt.Errorf("subpool: %s: last resolver error: %v", p.target, p.resolverErr)
	case p.resolverErr == nil:
		return fmt.Errorf("subpool: %s: last connection error: %v", p.target, p.connErr)
	}
	return fmt.Errorf("subpool: %s: last connection error: %v; last resolver error: %v", p.target, p.connErr, p.resolverErr)
}
