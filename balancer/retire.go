package balancer

import (
	"cmp"
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/internal/settings"
)

// renewals returns how many slots are due, within the budget.
func (e *endpoint) renewals(now time.Time) (n int) {
	if e.size() == 0 {
		return 0
	}
	for _, s := range e.slots {
		if s.due(e.cfg, now) {
			n++
		}
	}
	return min(n, settings.Budget(e.size()))
}

// urgent returns how many renewals cannot wait for what drains: of a connection that is
// not well, takes no more, or was asked to be replaced. They are made one at a time.
func (e *endpoint) urgent() int {
	for s := range e.connected() {
		if s.doubted || s.stale || s.unwell || s.spent() {
			return 1
		}
	}
	return 0
}

// retireSurplus takes slots above size out of service: of the ready ones first
// those that are due, then those that will be first; and due ones whose server
// does not serve, when their successors are connected, be these well or not.
func (e *endpoint) retireSurplus(now time.Time) {
	size := e.size()
	serving, unwell := e.count(ready), e.count(checking)
	if serving > size {
		soonest := slices.Clone(e.slots)
		slices.SortStableFunc(soonest, func(a, b *slot) int {
			return cmp.Or(first(a.due(e.cfg, now), b.due(e.cfg, now)), first(a.doubted, b.doubted), e.expiresFirst(a, b))
		})
		for _, s := range soonest {
			if serving > size && s.phase == ready {
				e.discard(s, now)
				serving--
			}
		}
	}
	for _, s := range slices.Clone(e.slots) {
		if serving+unwell > size && s.phase == checking && s.due(e.cfg, now) {
			e.discard(s, now)
			unwell--
		}
	}
}

// first puts what is so before what is not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// expiresFirst puts what would be due sooner, if nobody used it, before the others.
func (e *endpoint) expiresFirst(a, b *slot) int {
	atA, _ := a.expiry(e.cfg, true)
	atB, _ := b.expiry(e.cfg, true)
	return atA.Compare(atB)
}

// cutOff closes the slots that have drained for too long.
func (e *endpoint) cutOff(now time.Time) {
	for _, s := range slices.Clone(e.leaving) {
		if at, ok := s.cutAt(e.cfg); ok && !now.Before(at) {
			s.cutOff = true
			e.close(s)
		}
	}
}

// reap closes the draining slots that are empty. One that answers nothing would not
// answer a goodbye.
func (e *endpoint) reap(empty func(*slot) bool) {
	for _, s := range slices.Clone(e.leaving) {
		if empty(s) {
			s.cutOff = s.doubted && s.cuttable
			e.close(s)
		}
	}
}

// close ends a slot that drains.
func (e *endpoint) close(s *slot) {
	s.emptied()
	e.leaving = without(e.leaving, s)
	e.gone = append(e.gone, s)
}

// discard retires s. A probe takes gRPC's backoff with it, so the wait is counted
// again here: the next probe must not dial at once.
func (e *endpoint) discard(s *slot, now time.Time) {
	if s == e.probe {
		e.probe = nil
		e.retryAt = now.Add(flapBackoff(e.failures, e.random()))
	}
	shed := e.shed
	why := e.whyLeaves(s, now)
	s.retire()
	e.slots = without(e.slots, s)
	if s.phase == draining {
		if e.shed == shed && len(e.leaving) >= e.cfg.MaxSize { // see urgent
			e.urged++
		}
		s.left, s.went = now, why
		e.went[why]++
		e.noteRetired(s, now)
		e.leaving = append(e.leaving, s)
		e.retired = append(e.retired, s)
	} else {
		e.gone = append(e.gone, s)
	}
}

// leastUseful returns the slot that is farthest from being ready: the probe
// last of its phase, for it carries the backoff, and one that may dial at once
// after those that wait.
func (e *endpoint) leastUseful() *slot {
	rank := func(s *slot) int {
		r := map[phase]int{idle: 0, resting: 2, dialing: 4, checking: 8, ready: 12}[s.phase]
		if s == e.probe || s.eager {
			r += 3
		}
		return r
	}
	return slices.MinFunc(e.slots, func(a, b *slot) int { return rank(a) - rank(b) })
}
