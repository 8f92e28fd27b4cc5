package lifecycle

import (
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/config"
)

// Whether an RPC that finds every connection full may wait outside of them is decided in two
// steps: here for the endpoint, as Plan.Hold, and for each RPC by the picker that is made
// with it, package picker.

// longestHold bounds how long RPCs are held for the end of a connection at its request limit; and for an attempt
// where maxPending bounds how many may wait, for those that are held do not count. Then they wait in the
// connections that are full, under maxPending. Without maxPending RPCs are held for an attempt until it is taken
// to hang.
const longestHold = time.Second

// holds reports whether RPCs that find every connection full are held: another one is on its way, or would be as
// soon as an RPC waits. Where no limit is known none is ever full.
func (e *Endpoint) holds() bool {
	if e.removed || e.streamLimit.perConnection == NoLimit && e.requests.limit == 0 {
		return false
	}
	return e.connectsSoon() || e.outageMayEnd() || e.growsForOne()
}

// connectsSoon reports whether an attempt may soon bring room. A renewal brings none, but where the old
// connection has none, and that is sure; an attempt that takes long may hang; and those that are made one at a
// time during an outage may fail.
func (e *Endpoint) connectsSoon() bool {
	if e.outage != nil && !e.has(Ready) {
		return false
	}
	longest := hangsAfter
	if e.settings.MaxPending < config.NoPendingLimit {
		longest = longestHold
	}
	return slices.ContainsFunc(e.subchannels, func(s *Subchannel) bool {
		renewal := s.renewal() && !(s.openedFor == ReasonRequests && e.requests.proven)
		alone := e.outage != nil && e.outage.attempt == s
		return s.Pending() && !renewal && !alone && !e.clock.reached(s.dialled.Add(longest))
	})
}

// outageMayEnd reports whether a connection that was made since the last failure has yet to prove itself,
// within ProvenAfter: then those that are missing are dialled.
func (e *Endpoint) outageMayEnd() bool {
	return e.outage != nil && e.count(Ready) < e.Size() &&
		slices.ContainsFunc(e.subchannels, func(s *Subchannel) bool { return s.phase == Ready && s.conn.afterFailure })
}

// growsForOne reports whether one RPC more than there is room for makes the endpoint grow.
func (e *Endpoint) growsForOne() bool {
	if e.outage != nil || e.streamLimit.perConnection == NoLimit {
		return false
	}
	demand, room := outgrows(e.settings, e.Size(), e.streamLimit.perConnection), 0
	for s := range e.in(Ready) {
		room += s.StreamLimit()
	}
	return demand > 0 && room+1 >= demand
}
