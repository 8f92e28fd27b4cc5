package balancer

import (
	"slices"
	"time"
)

// attempts is what an endpoint remembers of failure. After one failed attempt it
// makes one attempt at a time, and the backoff is its own: the probe's. Another
// subchannel would start a backoff of its own, and sixteen of them dial a dead
// server sixteen times as often as one. While failures is 0 all may dial.
type attempts struct {
	failures int       // failed attempts of the probe, in a row
	probe    *slot     // nil until one is chosen
	attempt  *slot     // the last that was made alone
	sinceUp  int       // failures since a connection was last made
	retryAt  time.Time // no attempt before, where gRPC's own backoff does not hold
}

// countFailure reports whether s speaks for the endpoint: the others began
// before the first failure was known, and do not lengthen the backoff.
func (e *endpoint) countFailure(s *slot) bool {
	e.trust()
	e.failed++
	if s.renews() {
		e.renewalsFailed++
	}
	if e.probe == nil {
		e.probe = s
	}
	if e.probe != s {
		return false
	}
	e.failures++
	e.sinceUp++
	for _, o := range e.slots { // what was connected before does not speak against it
		o.fresh = false
	}
	return true
}

// elect starts the attempts that may be made now.
func (e *endpoint) elect(now time.Time) {
	e.forgive(now)
	if e.failures == 0 {
		for _, s := range e.slots {
			s.dial(e.addresses, now)
		}
		return
	}
	// What began before the first failure does not count: one such dial may
	// hang, and would keep the others waiting for as long as it does.
	if e.attempt != nil && e.attempt.phase == dialing {
		return
	}
	if s := e.next(now); s != nil && s.dial(e.addresses, now) {
		e.attempt = s
	}
}

// next returns whose turn it is while attempts are made one at a time: a slot
// that lost a good connection, else the probe when its backoff is over. A probe
// that rests waits for gRPC; one that is connected has yet to prove itself.
func (e *endpoint) next(now time.Time) *slot {
	if i := slices.IndexFunc(e.slots, func(s *slot) bool { return s.phase == idle && s.eager }); i >= 0 {
		return e.slots[i]
	}
	if now.Before(e.retryAt) {
		return nil
	}
	if e.probe == nil {
		if i := slices.IndexFunc(e.slots, func(s *slot) bool { return s.phase == idle }); i >= 0 {
			e.probe = e.slots[i]
		}
	}
	return e.probe
}

// forgive ends the time of single attempts when a connection made since the last
// failure has proved itself, or when all have and nothing is left to attempt.
func (e *endpoint) forgive(now time.Time) {
	proven, since := 0, false
	for _, s := range e.slots {
		if s.connected() && !now.Before(s.provenAt(e.cfg)) {
			proven++
			since = since || s.fresh
		}
	}
	if since || proven > 0 && proven == len(e.slots) {
		e.attempts = attempts{}
	}
}

// retry allows one attempt now, for an RPC or Connect asks for it; the backoff begins anew.
func (e *endpoint) retry() { e.retryAt, e.failures = time.Time{}, min(e.failures, 1) }

// roundFailed reports that the endpoint has nothing and little to hope for: all
// attempts failed or led to a server that does not serve, or the probe failed
// twice while others hang. A connection that was made and soon lost is none of these.
func (e *endpoint) roundFailed() bool {
	unwell := slices.ContainsFunc(e.slots, func(s *slot) bool { return s.phase == checking && s.unwell })
	failed := e.sinceUp > 1 || (e.sinceUp > 0 || unwell) && !e.coming()
	return failed && !e.has(ready)
}

// coming reports whether a connection may be ready soon.
func (e *endpoint) coming() bool {
	return slices.ContainsFunc(e.slots, (*slot).onItsWay)
}

// onItsWay reports that s is being connected, or that its health is not yet known.
func (s *slot) onItsWay() bool { return s.phase == dialing || s.phase == checking && !s.unwell }
