package lifecycle

import (
	"time"

	"github.com/grpc-subpool/subpool/config"
)

// Whether an RPC that finds every connection full may wait outside of them is decided in two
// steps: here for the endpoint, as Plan.Hold, and for each RPC by the picker that is made
// with it, package picker.

// longestHold bounds how long RPCs are held for an attempt, where maxPending bounds how many may wait. After
// that they wait in the connections that are full, under maxPending.
const longestHold = time.Second

// holdsPicks reports whether RPCs that find every connection full should wait outside: a
// connection is on its way, or will be as soon as an RPC waits. Where no limit is known none
// is ever full.
func (e *Endpoint) holdsPicks() bool {
	limited := e.streamLimit.perConnection != NoLimit
	return !e.removed && (limited && e.canGrow() || (limited || e.requests.limit > 0) && e.roomIsComing())
}

// roomIsComing reports whether all connections that are being made may soon be READY, and
// there are any. A renewal brings no room, but where the old connection has none, and that is sure.
//
// Without maxPending RPCs are held for as long as an attempt may last that does not hang, and while one backs
// off that was refused just before the server came back: those that are queued in the first connection that
// comes stay there, and do not go to the next ones.
func (e *Endpoint) roomIsComing() (coming bool) {
	if e.outage != nil {
		return e.outageMayEnd()
	}
	longest, unbounded := longestHold, e.settings.MaxPending >= config.NoPendingLimit
	if unbounded {
		longest = hangsAfter
	}
	for _, s := range e.subchannels {
		renewal := s.renewal() && !(s.openedFor == ReasonRequests && e.requests.proven)
		if renewal || !s.Pending() && !(unbounded && s.phase == Backoff) {
			continue
		}
		late := e.clock.reached(s.dialled.Add(longest))
		if late && s.phase != Backoff {
			return false
		}
		coming = coming || !late
	}
	return coming
}

// outageMayEnd reports whether a connection that was made since the last failure has yet to
// prove itself, within ProvenAfter: then the others are dialled. Were RPCs not held for these,
// all that waited during the outage would be queued in this one.
func (e *Endpoint) outageMayEnd() bool {
	if e.count(Ready) >= e.Size() {
		return false
	}
	for s := range e.in(Ready) {
		if s.conn.afterFlap {
			return true
		}
	}
	return false
}

// canGrow reports whether one RPC more than there is room for makes the endpoint grow.
func (e *Endpoint) canGrow() bool {
	most := outgrows(e.settings, e.Size(), e.streamLimit.perConnection)
	room := 0
	for s := range e.in(Ready) {
		room += s.StreamLimit()
	}
	return most > 0 && room+1 >= most && e.outage == nil && !e.has(Backoff)
}
