package lifecycle

import (
	"slices"
	"time"
)

// A lost connection is dialled at once. A plain channel to one endpoint becomes IDLE instead, and dials for
// the next RPC: the server may be back by then. So an attempt that began before an RPC wanted it is made
// again for the RPC:
//
//	lost ─▶ dialled, CONNECTING ── refused ──▶ IDLE ── refused ──▶ IDLE …
//	RPC, and an attempt backs off ─▶ another one at once, CONNECTING
//	RPC, and an attempt is under way ─▶ waits for it ── refused ─────────────────▶ another one at once
//	                                                 └─ has lasted for hangsAfter ──▶ another one beside it
//	an attempt that began for an RPC ── refused ──▶ TRANSIENT_FAILURE
//
// A plain channel to several endpoints dials at once, too, and all its attempts count. After a flap the state
// is CONNECTING, until the next attempt is refused.

// hangsAfter is how long an attempt may last before it is taken to hang: TCP has sent a lost SYN twice again
// by then (RFC 6298).
const hangsAfter = 3 * time.Second

// unready is what matters while no subchannel is READY.
type unready struct {
	wanted bool // an RPC or ClientConn.Connect wanted a connection since Unwanted; from the start, too
	down   bool // a whole round of attempts for RPCs failed, and none was READY since (gRFC A62)
}

// SetWanted says that an RPC or ClientConn.Connect wants a connection. One attempt is allowed now; the
// backoff begins anew.
func (e *Endpoint) SetWanted() {
	if o := e.outage; o != nil {
		o.noneUntil, o.failures = time.Time{}, min(o.failures, 1)
	}
	e.wanted = true
}

// Wanted reports whether an RPC or ClientConn.Connect wanted a connection since Unwanted.
func (e *Endpoint) Wanted() bool { return e.wanted }

// Unwanted says that the only endpoint of its channel lost a connection, or takes the place of one that did.
// RPCs that want another one say so by Wake, for those that wait pick again when a connection was lost. What
// attempts of before came to fails none.
func (e *Endpoint) Unwanted() {
	e.wanted = false
	e.outdate()
}

// outdate says that attempts of before count for no RPC: neither those that failed, nor those under way.
func (e *Endpoint) outdate() {
	e.down = false
	for _, s := range e.subchannels {
		s.forRPC = false
	}
	e.countAnew()
}

func (e *Endpoint) dial(s *Subchannel) {
	s.forRPC = e.wanted && !e.has(Ready)
	s.dial(len(e.addresses), e.clock.now)
}

// outdated reports whether the attempt of s backs off or is under way, and an RPC need not wait for it.
func (e *Endpoint) outdated(s *Subchannel) bool {
	switch {
	case s.forRPC || !e.wanted:
		return false
	case s.phase == Connecting:
		return e.clock.reached(s.dialled.Add(hangsAfter))
	}
	return s.phase == Backoff
}

// pending reports whether RPCs wait for an attempt that is under way, or is about to be: not for one that began
// after an attempt for RPCs that failed. A plain channel would fail them.
func (e *Endpoint) pending() bool {
	o := e.outage
	return slices.ContainsFunc(e.subchannels, func(s *Subchannel) bool {
		later := o != nil && o.sinceUp > 0 && s.phase != Checking && s.dialled.After(o.failed)
		return s.Pending() && !later && !e.outdated(s)
	})
}

// retryForRPCs makes another attempt if all began before an RPC wanted them: by one more subchannel, see beside,
// or by one in place of another. gRPC ends no backoff of a SubConn, and remembers its failures for the next one.
func (e *Endpoint) retryForRPCs() {
	retried := slices.ContainsFunc(e.subchannels, func(s *Subchannel) bool { return s.forRPC })
	if e.has(Ready) || e.has(NotServing) || retried || e.pending() || !slices.ContainsFunc(e.subchannels, e.outdated) {
		return
	}
	fresh := func(s *Subchannel) bool { return s.phase == Idle && (s.mayRedial || s.dialled.IsZero()) }
	if !slices.ContainsFunc(e.subchannels, fresh) {
		e.discard(e.leastUseful())
		e.add(ReasonLost)
	}
	if o := e.outage; o != nil { // nothing of before holds it up
		o.probe, o.attempt, o.noneUntil = e.subchannels[slices.IndexFunc(e.subchannels, fresh)], nil, time.Time{}
	}
}

// beside reports whether RPCs need not wait for an attempt that is under way: it may come to something yet,
// so another one is made beside it, and the first that connects serves. Where a server was reached, and says
// that it does not serve, they fail instead.
func (e *Endpoint) beside() bool {
	hangs := func(s *Subchannel) bool { return s.phase == Connecting && e.outdated(s) }
	return !e.has(Ready) && !e.has(NotServing) && slices.ContainsFunc(e.subchannels, hangs)
}
