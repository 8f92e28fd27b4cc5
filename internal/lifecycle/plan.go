package lifecycle

import (
	"slices"
	"time"
)

// A Plan is what should be done now. Its fields are carried out in their order.
type Plan struct {
	// RequestLimits says that connections have another request limit, or that RPCs are held for their end, or
	// no more. It comes before the next publication: RPCs that waited because of it pick again then.
	RequestLimits bool

	// Dial is what should connect. It comes before the publication, so that a channel
	// never looks idle while it has work.
	Dial []Dial

	// Here the shell publishes the state and the READY subchannels: no picker that gRPC
	// starts to use from here on has one of those below.

	// Drain are retired connections. No RPC may be started on them any more, and as soon
	// as none is in flight that is to be observed.
	Drain []*Subchannel

	// Connected are subchannels that connected: their SubConns to other addresses are to
	// be shut down.
	Connected []*Subchannel

	// Close are subchannels whose SubConns are to be shut down. Shut down with an RPC on
	// its way to a stream, a SubConn would lose that, so they have drained before, or are
	// closed by force.
	Close []Closing

	// Resolve asks the resolver for news. It comes last, for that may answer at once.
	Resolve bool

	MoreDials bool      // more would dial, had they been allowed to
	Coming    int       // connections on their way, or that held RPCs would start, for which RPCs that find no room are held
	Watermark int       // plan again when a READY connection carries as many RPCs more than observed; 0 is never
	Next      time.Time // plan again then; zero is never
	Ended     bool      // nothing is left of a removed endpoint

	Decisions []Decision // since the last plan, in their order
}

// A Dial is a SubConn that should connect.
type Dial struct {
	*Subchannel
	Address int
}

// A Closing is a subchannel that ends.
type Closing struct {
	*Subchannel
	Forced bool // its transport is to be closed, too: gRPC would leave it open
}

// Done reports whether there is nothing to carry out.
func (p *Plan) Done() bool { return len(p.Dial)+len(p.Drain)+len(p.Close) == 0 }

// Plan returns what should be done now. It calls for Size subchannels, and one more for each
// that is due to be replaced, as far as the budget goes; when more than Size are READY, those
// that are due leave. No subchannel is another one's successor: whichever connects first
// serves, so nothing is ever closed for a successor that did not come. ("Successor" is a count,
// and no pairing, here and elsewhere.)
//
// It is to be called again until Plan.Done: what was carried out may allow more. dials is how many
// subchannels may begin to dial now.
func (e *Endpoint) Plan(now time.Time, dials int) Plan {
	e.clock = clock{now: now}
	e.checkRequestLimit()
	e.findOutlier()
	size := e.Size()
	base := e.resize(size)
	e.tellMissing()
	e.markRefreshIdle()
	e.closeDrained()
	for e.retireSurplus() || e.discardSurplus(size) {
		e.markRefreshIdle() // among those that are left
	}
	e.endOutage()
	e.reassignReasons(size)
	e.open(size, base, e.renewals())
	e.startAttempts(dials)
	e.tryAddresses()
	switch {
	case size == 0: // failures of before say nothing when it wakes
		e.down = false
		e.countAnew()
	case e.roundFailed():
		e.down = true
	}
	e.reportStreamLimit()
	p := e.next
	e.next = Plan{}
	p.Coming, p.Watermark, p.Ended = e.coming(), e.watermark(), e.ended()
	if (len(e.subchannels) > 0 || e.Used()) && e.settings.IdleTimeout > 0 {
		e.clock.reached(e.demand.window.next)
	}
	p.Next = e.clock.next
	return p
}

// open makes the subchannels that are missing. An endpoint that drains as many as it may have
// starts no more renewals, but for one at a time that cannot wait.
func (e *Endpoint) open(size, base, renewals int) {
	if most := e.settings.MaxSize - len(e.draining); renewals > most {
		renewals = min(renewals, max(e.urgent(), most))
	}
	for len(e.subchannels) < size+renewals {
		e.next.Resolve = e.next.Resolve || len(e.subchannels) >= size
		e.add(e.openReason(size, base))
	}
}

func (e *Endpoint) add(why Reason) *Subchannel {
	s := &Subchannel{id: e.newID(), openedFor: why, tally: &e.tally}
	e.subchannels = append(e.subchannels, s)
	e.tally[Idle]++
	return s
}

// TryAgain says that the resolver lists the endpoint once more: attempts that are under way begin with their
// first address again, as those of pick_first do. It reports whether a plan may say so.
func (e *Endpoint) TryAgain() (matters bool) {
	if len(e.addresses) == 1 {
		return false
	}
	for s := range e.in(Connecting) {
		s.attempt.again()
		matters = true
	}
	return matters
}

func (e *Endpoint) tryAddresses() {
	for s := range e.in(Connecting) {
		for s.attempt.more() && e.clock.reached(s.attempt.nextAt) {
			if address, ok := s.attempt.try(e.clock.now); ok {
				e.next.Dial = append(e.next.Dial, Dial{s, address})
			}
		}
	}
}

// ended reports that nothing is left of a removed endpoint. One that failed is remembered for
// gRPC's longest backoff: if the resolver lists it and drops it in turn, each time must not
// begin with a full round of attempts.
func (e *Endpoint) ended() bool {
	if !e.removed || len(e.subchannels)+len(e.draining) > 0 {
		return false
	}
	return e.outage == nil || e.clock.reached(e.outage.noneUntil.Add(backoffMax))
}

// renewals returns how many subchannels there are to be above the size, within the budget: for each
// that is due to be replaced, and beside attempts for which RPCs need not wait.
func (e *Endpoint) renewals() (n int) {
	if e.Size() == 0 {
		return 0
	}
	for _, s := range e.subchannels {
		if e.due(s) {
			n++
		}
	}
	if e.beside() {
		n++
	}
	return min(n, Budget(e.Size()))
}

// urgent returns how many renewals cannot wait for what drains: of a connection that is not
// well, takes no more, or is to be replaced on request, and of an attempt for which RPCs need not wait.
// They are made one at a time.
func (e *Endpoint) urgent() int {
	if e.beside() {
		return 1
	}
	for s := range e.inService() {
		if e.cannotStay(s) || s.phase == NotServing && e.due(s) {
			return 1
		}
	}
	return 0
}

func without(list []*Subchannel, s *Subchannel) []*Subchannel {
	return slices.DeleteFunc(list, func(o *Subchannel) bool { return o == s })
}
