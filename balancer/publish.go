package balancer

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/connectivity"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/lifecycle"
	"github.com/grpc-subpool/subpool/internal/load"
	"github.com/grpc-subpool/subpool/picker"
)

// published is what gRPC was last told.
type published struct {
	state     connectivity.State
	picker    string
	loads     []*load.Load // of the READY connections, in their order
	suspect   []*load.Load // those of them that are picked only if no other can be
	maxQueued int          // see load.Input
	err       string       // why RPCs fail, in TRANSIENT_FAILURE
	hold      bool         // RPCs for which there is no room
	started   uint32       // RPCs on the connections, when they were published
}

func (a *published) equal(b *published) bool {
	return a.state == b.state && a.picker == b.picker && a.err == b.err && a.hold == b.hold &&
		a.maxQueued == b.maxQueued && slices.Equal(a.loads, b.loads) && slices.Equal(a.suspect, b.suspect)
}

// publishLocked tells gRPC the pool's state, and gives it a picker, if these are not what it
// has already.
func (p *pool) publishLocked(now time.Time) {
	next := &published{state: aggregate(p.endpoints.list), maxQueued: load.NoMaxQueued}
	if p.cfg != nil {
		next.picker = p.cfg.Picker
		if p.cfg.MaxPending < config.NoPendingLimit {
			next.maxQueued = p.cfg.MaxPending
		}
	}
	var ready []*subchannel
	for _, e := range p.endpoints.list {
		ready = slices.AppendSeq(ready, e.ready())
		next.hold = next.hold || e.plan.Hold
	}
	slices.SortFunc(ready, func(a, b *subchannel) int { return cmp.Compare(a.ID(), b.ID()) })
	for _, s := range ready {
		next.loads = append(next.loads, s.conn.load)
		s.conn.load.SetSuspect(s.Suspect())
		if s.Suspect() {
			next.suspect = append(next.suspect, s.conn.load)
		}
	}
	var err error
	if next.state == connectivity.TransientFailure {
		err = p.errorLocked()
		next.err = err.Error()
	}
	endRetries := p.endRetriesLocked(now)
	if p.published.equal(next) && !p.releasesLocked(now) && !p.republish && !endRetries {
		return
	}
	p.decideStateLocked(next, now)
	p.carryHeldLocked(next)
	p.published = next
	waiting := p.waiters.Renew()
	if endRetries {
		p.waiters.EndRetries()
	}
	p.schedule.nextRelease, p.schedule.heldSince, p.republish = time.Time{}, time.Time{}, false
	p.cc.UpdateState(balancer.State{ConnectivityState: next.state, Picker: p.pickerLocked(ready, waiting, err)})
}

// pickerLocked is the picker of what is published; err is why there is none.
func (p *pool) pickerLocked(ready []*subchannel, waiting *load.Waiting, err error) balancer.Picker {
	switch p.published.state {
	case connectivity.Ready:
	case connectivity.TransientFailure:
		return base.NewErrPicker(err)
	default:
		return wakingPicker{&p.signals.exitIdle}
	}
	serving := load.Input{Waiters: p.waiters, Waiting: waiting, Hold: p.published.hold, MaxQueued: p.published.maxQueued}
	for _, s := range ready {
		serving.Conns = append(serving.Conns, load.Conn{SubConn: s.activeSubConn().sc, Address: s.activeSubConn().addr, Load: s.conn.load})
	}
	for _, e := range p.endpoints.list {
		for _, s := range e.subchannels {
			if s.Phase() == lifecycle.Draining {
				serving.Draining = append(serving.Draining, s.conn.load)
			}
		}
	}
	return picker.Build(p.published.picker, serving)
}

// releasesLocked reports whether held RPCs must pick again because places came free: an
// attempt that hangs must not hold them up. Many are released at once, few after a short while.
func (p *pool) releasesLocked(now time.Time) bool {
	some, many := p.waiters.Freed()
	next := &p.schedule.nextRelease
	if some && next.IsZero() {
		*next = now.Add(demandChecks + time.Duration(p.waiters.Waiting())*perHeld)
	}
	return many || some && !now.Before(*next)
}

// wakingPicker is the picker of a pool without a READY connection: an RPC wakes it where it is
// idle, ends the backoff after a flap, as it would for a plain channel, and waits.
type wakingPicker struct{ exitIdle *signal }

func (w wakingPicker) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	w.exitIdle.raise()
	return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
}

// aggregate is the state of a pool of these endpoints: READY if any is, else CONNECTING if any
// is, else IDLE if any is, for an RPC would wake it, else TRANSIENT_FAILURE.
func aggregate(endpoints []*endpoint) connectivity.State {
	best := lifecycle.StateTransientFailure
	for _, e := range endpoints {
		if !e.Removed() {
			best = min(best, e.State())
		}
	}
	return [...]connectivity.State{
		lifecycle.StateReady:            connectivity.Ready,
		lifecycle.StateConnecting:       connectivity.Connecting,
		lifecycle.StateIdle:             connectivity.Idle,
		lifecycle.StateTransientFailure: connectivity.TransientFailure,
	}[best]
}

// errorLocked says why no connection is READY. The causes go in as text: a status among them
// would make gRPC end wait-for-ready RPCs too.
func (p *pool) errorLocked() error {
	connection, resolver := fmt.Sprint(p.failure.connection), fmt.Sprint(p.failure.resolver)
	switch {
	case p.failure.connection == nil || !p.hasEndpointLocked():
		return fmt.Errorf("subpool: %s: last resolver error: %s", p.target, resolver)
	case p.failure.resolver == nil:
		return fmt.Errorf("subpool: %s: last connection error: %s", p.target, connection)
	}
	return fmt.Errorf("subpool: %s: last connection error: %s; last resolver error: %s", p.target, connection, resolver)
}
