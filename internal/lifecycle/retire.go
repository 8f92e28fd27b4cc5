package lifecycle

import (
	"cmp"
	"slices"
	"time"
)

// retireSurplus takes subchannels above size out of service: of the READY ones first those
// that are due, then those that would be due first; and of those whose server does not
// serve the ones that are due, as soon as their successors are connected, whatever these serve. It
// reports whether there was one.
func (e *Endpoint) retireSurplus() (retired bool) {
	size, before := e.Size(), len(e.draining)
	ready, other := e.count(Ready), e.count(Checking, NotServing)
	if ready > size {
		byExpiry := slices.Clone(e.subchannels)
		slices.SortStableFunc(byExpiry, func(a, b *Subchannel) int {
			return cmp.Or(trueFirst(e.due(a), e.due(b)), trueFirst(a.Suspect(), b.Suspect()), e.expiresFirst(a, b))
		})
		for _, s := range byExpiry {
			if ready > size && s.phase == Ready {
				e.discard(s)
				ready--
			}
		}
	}
	if ready+other > size {
		for _, s := range slices.Clone(e.subchannels) {
			if ready+other > size && (s.phase == Checking || s.phase == NotServing) && e.due(s) {
				e.discard(s)
				other--
			}
		}
	}
	return len(e.draining) > before
}

// discardSurplus retires subchannels beyond the size and the renewals. It reports whether one of them drains.
func (e *Endpoint) discardSurplus(size int) (retired bool) {
	before := len(e.draining)
	for len(e.subchannels) > size+e.renewals() { // to discard one that is due leaves fewer
		e.discard(e.leastUseful())
	}
	return len(e.draining) > before
}

// trueFirst orders what is so before what is not.
func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// expiresFirst orders what would be due sooner, if it stayed unused, first; subchannels
// without a connection come before all.
func (e *Endpoint) expiresFirst(a, b *Subchannel) int {
	return e.expiryUnused(a).Compare(e.expiryUnused(b))
}

func (e *Endpoint) expiryUnused(s *Subchannel) (at time.Time) {
	if s.Connected() {
		at, _ = s.conn.expiry(e.settings, true)
	}
	return at
}

// closeDrained closes the draining subchannels that carry nothing, and those that have
// drained for drainTimeout.
func (e *Endpoint) closeDrained() {
	for _, s := range slices.Clone(e.draining) {
		at, limited := e.forceCloseAt(s)
		switch {
		case s.conn.facts.Drained:
			e.refuteDrained(s)
			// A connection that answers nothing would not answer a GOAWAY either.
			e.close(s, s.conn.suspectFor == ReasonUnresponsive && s.conn.facts.ForceClosable)
		case limited && e.clock.reached(at):
			e.close(s, true)
		}
	}
}

// forceCloseAt returns when a draining connection is closed with its RPCs, if ever.
func (e *Endpoint) forceCloseAt(s *Subchannel) (at time.Time, ok bool) {
	return s.conn.drainingAt.Add(e.settings.DrainTimeout), s.conn.facts.ForceClosable && e.settings.DrainTimeout > 0
}

// close ends a subchannel that drains.
func (e *Endpoint) close(s *Subchannel, forced bool) {
	s.drained()
	e.draining = without(e.draining, s)
	e.next.Close = append(e.next.Close, Closing{s, forced})
}

// discard retires s. The probe takes gRPC's backoff with it, so that is counted again here:
// the next probe must not dial at once.
func (e *Endpoint) discard(s *Subchannel) {
	if o := e.outage; o != nil && s == o.probe {
		o.probe = nil
		o.noneUntil = e.clock.now.Add(flapBackoff(o.failures, e.random()))
	}
	shrinkBy := e.sizing.shrinkBy
	reason := e.retireReason(s)
	s.retire()
	e.subchannels = without(e.subchannels, s)
	if s.phase != Draining {
		e.next.Close = append(e.next.Close, Closing{s, false})
		return
	}
	s.conn.drainingAt, s.conn.retiredFor = e.clock.now, reason
	urgent := e.sizing.shrinkBy == shrinkBy && len(e.draining) >= e.settings.MaxSize
	e.decideRetired(s, urgent)
	e.draining = append(e.draining, s)
	e.next.Drain = append(e.next.Drain, s)
}

// leastUseful returns the subchannel that is farthest from being READY, so of attempts the last one. The
// probe is the last of its phase, for it carries the backoff, but for one that is outdated; and one that may
// redial at once comes after those that wait.
func (e *Endpoint) leastUseful() *Subchannel {
	rank := func(s *Subchannel) int {
		r := [Phases]int{Idle: 0, Backoff: 2, Connecting: 4, Checking: 8, NotServing: 8, Ready: 12}[s.phase]
		if s.mayRedial {
			r += 3
		}
		if e.outage != nil && s == e.outage.probe && !e.outdated(s) {
			r++
		}
		return r
	}
	return slices.MinFunc(e.subchannels, func(a, b *Subchannel) int {
		return cmp.Or(rank(a)-rank(b), trueFirst(e.outdated(a), e.outdated(b)), b.dialled.Compare(a.dialled))
	})
}
