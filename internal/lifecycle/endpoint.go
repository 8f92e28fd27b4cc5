// Package lifecycle decides what should happen to the subchannels of one endpoint: how
// many there are, which of them may connect, which are replaced, and which are closed. It
// is pure: no clock, no lock, no goroutine, and nothing of gRPC is reachable from it. The
// caller, package balancer, tells it what happened, and carries out what it answers.
//
// In come events (Connected, Failed, BackoffOver, Lost), what is seen of a connection
// (Observe), and settings. Out comes one [Plan]. An event only changes facts, and Plan compares
// them: an event that is late or repeated does no harm. Each plan must be carried out.
package lifecycle

import (
	"iter"
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/config"
)

// An Endpoint is the subchannels of one endpoint of the resolver, duplicates of each other: how
// many there are against how many there should be, and which of them may dial.
type Endpoint struct {
	settings    config.Config
	addresses   []string      // alternatives that a subchannel may connect to
	removed     bool          // the resolver does not list it: it only waits for its RPCs to end
	subchannels []*Subchannel // in service or on their way there, oldest first
	tally       tally         // of the subchannels; those that have closed stay in it
	draining    []*Subchannel

	demand      demand
	sizing      sizing
	streamLimit streamLimit
	requests    requestLimit
	suspicion   suspicion
	outage      *outage // nil while all is well
	unready

	clock clock
	next  Plan // what events have added to it since the last one
	source
}

// source is what makes lives differ from each other.
type source struct {
	newID  func() ID
	random func() float64
}

// New returns an endpoint without subchannels. addresses are its alternatives, as decisions
// name them, at least one; epoch is the same for all endpoints of a channel; newID is called for
// each new subchannel, random returns 0 to 1.
func New(settings config.Config, addresses []string, epoch time.Time, newID func() ID, random func() float64) *Endpoint {
	return &Endpoint{
		settings: settings, addresses: addresses, source: source{newID, random}, demand: demand{epoch: epoch}, unready: unready{wanted: true},
		streamLimit: streamLimit{perConnection: NoLimit, reported: NoLimit},
	}
}

// clock is the time of the plan that is being made, and the deadlines that were met on the way.
type clock struct {
	now  time.Time
	next time.Time // the earliest after now; zero if there is none
}

// reached reports whether a deadline has come. If not, the plan is to be made anew then.
func (c *clock) reached(at time.Time) bool {
	if !c.now.Before(at) {
		return true
	}
	if c.next.IsZero() || at.Before(c.next) {
		c.next = at
	}
	return false
}

// State is the endpoint's part in the connectivity state of its channel.
type State uint8

// The states of an endpoint, best first.
const (
	StateReady State = iota
	StateConnecting
	StateIdle
	StateTransientFailure
	States // how many there are
)

func (s State) String() string {
	return [...]string{"READY", "CONNECTING", "IDLE", "TRANSIENT_FAILURE"}[s]
}

// State returns the endpoint's part in the connectivity state.
func (e *Endpoint) State() State {
	switch {
	case e.Size() == 0:
		return StateIdle
	case e.has(Ready):
		return StateReady
	case e.down:
		return StateTransientFailure
	case e.outage != nil && !e.wanted && !e.outage.flapped: // or all that connect where it is IDLE would dial at each flap
		return StateIdle
	}
	return StateConnecting
}

// Removed reports whether the resolver does not list the endpoint any more.
func (e *Endpoint) Removed() bool { return e.removed }

// SetRemoved says whether the resolver lists the endpoint. One that it does not list drains. It
// reports whether that is new.
func (e *Endpoint) SetRemoved(removed bool) (changed bool) {
	changed = e.removed != removed
	e.removed = removed
	return changed
}

// SetActive says whether any endpoint of the channel was used of late: with minSize 0 each
// keeps a subchannel for as long.
func (e *Endpoint) SetActive(active bool) { e.sizing.active = active }

// SetSettings records new settings. What exceeds the new maxSize is retired by the next plan;
// what is allowed but not called for leaves when idleTimeout has passed. It reports whether
// they are other ones.
func (e *Endpoint) SetSettings(s config.Config, now time.Time) (changed bool) {
	old := e.settings
	if old == s {
		return false
	}
	size := e.Size()
	e.settings = s
	if old.MinSize == s.MinSize && old.MaxSize == s.MaxSize && old.TargetStreams == s.TargetStreams && old.IdleTimeout == s.IdleTimeout {
		return true
	}
	e.sizing.previous = window{}
	e.sizing.previous.observe(min(size, s.MaxSize), s.IdleTimeout, now, e.demand.epoch)
	return true
}

// Failures returns how many attempts failed in a row, as the backoff counts them.
func (e *Endpoint) Failures() int {
	if e.outage == nil {
		return 0
	}
	return e.outage.failures
}

// Recycle makes every connection that there is now, or that is being made, due to be
// replaced. It returns how many there are.
func (e *Endpoint) Recycle() (connections int) {
	for _, s := range e.subchannels {
		s.recycle = true
		if s.InService() {
			connections++
		}
	}
	return connections
}

// Wake says that an RPC found the channel without a connection, or that ClientConn.Connect
// was called: an endpoint without subchannels opens one, and one in an outage, or whose
// attempts hang, may try once. It reports whether a plan may say so.
func (e *Endpoint) Wake(now time.Time) bool {
	matters := !e.Used() || e.outage != nil || !e.has(Ready)
	e.demand.window.observe(1, e.settings.IdleTimeout, now, e.demand.epoch)
	e.SetWanted()
	return matters
}

// Subchannels goes through the subchannels, first those in service or on their way there,
// oldest first, then those that drain.
func (e *Endpoint) Subchannels() iter.Seq[*Subchannel] {
	return func(yield func(*Subchannel) bool) {
		for _, list := range [...][]*Subchannel{e.subchannels, e.draining} {
			for _, s := range list {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// in goes through the subchannels in these phases, but for those that drain.
func (e *Endpoint) in(phases ...Phase) iter.Seq[*Subchannel] {
	return func(yield func(*Subchannel) bool) {
		for _, s := range e.subchannels {
			if slices.Contains(phases, s.phase) && !yield(s) {
				return
			}
		}
	}
}

func (e *Endpoint) inService() iter.Seq[*Subchannel] { return e.in(Checking, NotServing, Ready) }

// count is for phases of subchannels that do not drain.
func (e *Endpoint) count(phases ...Phase) int { return e.tally.of(phases...) }

// Count returns how many subchannels are in each phase; those that are closed are gone.
func (e *Endpoint) Count() (n [Phases]int) {
	n = e.tally
	n[Closed] = 0
	return n
}

func (e *Endpoint) has(p Phase) bool { return e.count(p) > 0 }

func (e *Endpoint) countInService() int { return e.count(Checking, NotServing, Ready) }
