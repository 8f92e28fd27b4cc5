package lifecycle

import (
	"slices"
	"time"
)

// A lost connection is dialled at once. A plain channel to one endpoint becomes IDLE instead, and dials for
// the next RPC: the server may be back by then. So an attempt that began before an RPC wanted it is made again for the RPC:
//
//	lost ─▶ dialled, CONNECTING ── refused ──▶ IDLE ── refused ──▶ IDLE …
//	RPC, and an attempt backs off or has lasted for attemptDelay ─▶ another one at once, CONNECTING
//	RPC, and an attempt began just now ─▶ waits for it ── refused ──▶ another one at once
//	                                                   └─ hangs ────▶ TRANSIENT_FAILURE when it is given up
//	an attempt that began for an RPC ── refused ──▶ TRANSIENT_FAILURE
//
// A plain channel to several endpoints dials at once, too, and all its attempts count. So do those after a
// flap, and those of an endpoint that the resolver lists anew.

// unready is what matters while no subchannel is READY.
type unready struct {
	// wantedSince is when an RPC or ClientConn.Connect first wanted a connection since unwanted, or
	// Endpoint.New's epoch before that; zero if none did. It stays when the connection is made.
	wantedSince time.Time
	down        bool // a whole round of attempts for RPCs failed, and none was READY since (gRFC A62)
}

// setWanted says that an RPC or ClientConn.Connect wants a connection. One attempt is allowed now; the
// backoff begins anew.
func (e *Endpoint) setWanted(now time.Time) {
	if o := e.outage; o != nil {
		o.noneUntil, o.failures = time.Time{}, min(o.failures, 1)
	}
	if e.wantedSince.IsZero() {
		e.wantedSince = now
	}
}

// unwanted says that the only endpoint of its channel lost a connection. RPCs that want another one say so,
// and what attempts of before came to fails none.
func (e *Endpoint) unwanted() {
	e.wantedSince, e.down = time.Time{}, false
	for _, s := range e.subchannels {
		s.forRPC = false
	}
	if e.outage != nil {
		e.outage.sinceUp = 0
	}
}

func (e *Endpoint) dial(s *Subchannel) {
	s.forRPC = !e.wantedSince.IsZero()
	s.dial(len(e.addresses), e.clock.now)
}

// outdated reports whether the attempt of s backs off or is under way, and an RPC need not wait for it.
func (e *Endpoint) outdated(s *Subchannel) bool {
	late := s.phase == Connecting && e.wantedSince.Sub(s.dialled) >= attemptDelay
	return !s.forRPC && (late || s.phase == Backoff)
}

// pending reports whether an attempt is under way for which an RPC may wait, or is about to be.
func (e *Endpoint) pending() bool {
	return slices.ContainsFunc(e.subchannels, func(s *Subchannel) bool { return s.Pending() && !e.outdated(s) })
}

// retryForRPCs makes another attempt if all began before an RPC wanted them, by a subchannel in place of
// one of theirs: gRPC ends no backoff of a SubConn. Where RPCs have waited for an attempt that hung, they
// do not wait for another one, and fail.
func (e *Endpoint) retryForRPCs() {
	retried := slices.ContainsFunc(e.subchannels, func(s *Subchannel) bool { return s.forRPC })
	if e.wantedSince.IsZero() || e.has(Ready) || retried || e.pending() {
		return
	}
	late := slices.IndexFunc(e.subchannels, func(s *Subchannel) bool { return s.phase == Connecting })
	if o := e.outage; o != nil && o.attempt != nil && o.attempt.phase == Connecting { // until it ends there is no other
		late = slices.Index(e.subchannels, o.attempt)
	}
	backsOff := slices.IndexFunc(e.subchannels, func(s *Subchannel) bool { return s.phase == Backoff })
	switch {
	case late < 0 && backsOff < 0:
		return
	case late < 0 && e.outage != nil && e.clock.now.Sub(e.wantedSince) >= longestHold:
		e.outage.sinceUp = max(1, e.outage.sinceUp)
		return
	case late >= 0:
		e.replace(e.subchannels[late])
	case !e.has(Idle):
		e.replace(e.subchannels[backsOff])
	}
	if o := e.outage; o != nil {
		o.probe, o.noneUntil = nil, time.Time{}
	}
}

// replace puts a new subchannel in the place of one that has no connection.
func (e *Endpoint) replace(s *Subchannel) {
	e.discard(s)
	e.add(ReasonLost)
}
