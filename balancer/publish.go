package balancer

import (
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

// published is what gRPC was last told, the READY connections apart.
type published struct {
	state     connectivity.State
	picker    string
	maxQueued int    // see load.Input
	err       string // why RPCs fail, in TRANSIENT_FAILURE
	hold      bool   // RPCs for which there is no room
}

// A pool of few connections publishes whatever changes at once. One of many may make a picker
// of all of them for each that comes, so it waits for more: publishInterval for each that it
// has, longestInterval at most.
const (
	few             = 64
	publishInterval = 5 * time.Microsecond
	longestInterval = 10 * time.Millisecond
)

// publishLocked tells gRPC the pool's state, and gives it a picker, if these are not what it
// has already.
func (p *pool) publishLocked(step []*endpoint, now time.Time) {
	next := published{state: stateOf(p.endpoints.sum.state()), hold: p.endpoints.sum.coming > 0, maxQueued: load.NoMaxQueued}
	if p.cfg != nil {
		next.picker = p.cfg.Picker
		if p.cfg.MaxPending < config.NoPendingLimit {
			next.maxQueued = p.cfg.MaxPending
		}
	}
	var err error
	if next.state == connectivity.TransientFailure {
		err = p.errorLocked()
		next.err = err.Error()
	}
	endRetries := p.endRetriesLocked(now)
	same := p.published == next && !p.releasesLocked(now) && !p.schedule.republish && !endRetries
	if same && (!p.schedule.unpublished || p.waitsForMoreLocked(step, now)) {
		return
	}
	p.decideStateLocked(&next, now)
	p.published = next
	waiting := p.waiters.Renew()
	if endRetries {
		p.waiters.EndRetries()
	}
	p.schedule.published(now)
	p.cc.UpdateState(balancer.State{ConnectivityState: next.state, Picker: p.pickerLocked(waiting, err)})
}

// waitsForMoreLocked reports whether the connections that came or went may be published later.
// One that is retired must get no RPC once it drains, and where RPCs are held they wait for
// what came.
func (p *pool) waitsForMoreLocked(step []*endpoint, now time.Time) bool {
	next := p.schedule.lastPublished.Add(p.intervalLocked())
	if p.servingLocked() <= few || !now.Before(next) || p.waiters.Waiting() > 0 || p.waiters.Retrying() {
		return false
	}
	if slices.ContainsFunc(step, func(e *endpoint) bool { return len(e.plan.Drain) > 0 }) {
		return false
	}
	p.schedule.nextPublish = next
	return true
}

// intervalLocked is the least time between publications that can wait.
func (p *pool) intervalLocked() time.Duration {
	return min(time.Duration(p.servingLocked())*publishInterval, longestInterval)
}

// servingLocked is how many connections a picker has.
func (p *pool) servingLocked() int { return len(p.endpoints.sum.ready) + len(p.endpoints.sum.suspect) }

// pickerLocked is the picker of what is published; err is why there is none.
func (p *pool) pickerLocked(waiting *load.Waiting, err error) balancer.Picker {
	switch p.published.state {
	case connectivity.Ready:
	case connectivity.TransientFailure:
		return base.NewErrPicker(err)
	default:
		return wakingPicker{&p.signals.exitIdle}
	}
	serving := load.Input{
		Waiters: p.waiters, Waiting: waiting, Conns: p.endpoints.sum.ready, Suspects: p.endpoints.sum.suspect,
		Coming: p.endpoints.sum.coming, MaxQueued: p.published.maxQueued,
	}
	if serving.MaxQueued != load.NoMaxQueued && p.endpoints.sum.phases[lifecycle.Draining] > 0 {
		serving.Draining = p.drainingLocked()
	}
	return picker.Build(p.published.picker, serving)
}

func (p *pool) drainingLocked() (loads []*load.Load) {
	for _, e := range p.endpoints.list {
		for _, s := range e.subchannels {
			if s.Phase() == lifecycle.Draining {
				loads = append(loads, s.conn.load)
			}
		}
	}
	return loads
}

// RPCs that are held pick again some time after the last publication, when places came free: perHeld for each RPC,
// divided by the number of these places, for each publication makes all of them pick; and perPick for each, which
// bounds these picks to four million a second. A pick among many full connections takes longer, so intervalLocked
// comes on top of it.
const (
	perPick = 250 * time.Nanosecond
	perHeld = 10 * time.Microsecond
)

// releasesLocked reports whether held RPCs must pick again because places came free: an attempt that hangs
// must not hold them up. The time counts from the last publication: were it counted from when the places came
// free, they would be empty meanwhile.
func (p *pool) releasesLocked(now time.Time) bool {
	freed := p.waiters.Freed()
	if freed == 0 {
		return false
	}
	held := p.waiters.Waiting() + p.waiters.HeldRetries()
	p.schedule.nextRelease = p.schedule.lastPublished.Add(p.intervalLocked() + time.Duration(held)*(perPick+perHeld/time.Duration(freed)))
	return !now.Before(p.schedule.nextRelease)
}

// wakingPicker is the picker of a pool without a READY connection: a pick wakes an idle pool; if no RPC wanted the
// last attempt, or its connection ended before it counted as a success, the pool dials at once, as a plain channel
// does; and the RPC waits.
type wakingPicker struct{ exitIdle *signal }

func (w wakingPicker) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	w.exitIdle.raise()
	return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
}

func stateOf(s lifecycle.State) connectivity.State {
	return [...]connectivity.State{
		lifecycle.StateReady:            connectivity.Ready,
		lifecycle.StateConnecting:       connectivity.Connecting,
		lifecycle.StateIdle:             connectivity.Idle,
		lifecycle.StateTransientFailure: connectivity.TransientFailure,
	}[s]
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
