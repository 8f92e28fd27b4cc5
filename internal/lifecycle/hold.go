package lifecycle

import (
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/config"
)

// Whether an RPC that finds every connection full may wait outside of them is decided in two
// steps: here for the endpoint, as Plan.Coming, and for each RPC by the picker that is made
// with it, package picker. Where it waits for the end of a connection, awaitsEnd is the first.

// longestHold bounds how long RPCs are held for the end of a connection at its request limit, and for an attempt if
// maxPending is set: those that are held do not count there. Without maxPending they are held until the attempt is
// taken to hang, see hangsAfter.
const longestHold = time.Second

// coming returns for how many connections RPCs that find every connection full are held: those that are on
// their way, or that would be as soon as an RPC waits. Where no limit is known none is ever full.
func (e *Endpoint) coming() (n int) {
	limited := e.streamLimit.perConnection != NoLimit
	if e.removed || !limited && e.requests.limit == 0 {
		return 0
	}
	size, demand := e.Size(), 0
	if limited {
		demand = growsFrom(e.settings, size, e.streamLimit.perConnection)
	}
	if demand > 0 { // it grows, as far as those that are held need it
		size = e.settings.MaxSize
	}
	n = e.attempts()
	if e.outageMayEnd() || e.outage == nil && demand > 0 && (n > 0 || e.canGrow(demand)) {
		n = max(n, size-e.count(Ready))
	}
	return n
}

// attempts counts the connections that may soon be READY. A renewal brings no room, but where the old
// connection has reached its request limit; an attempt that takes long may hang; and those that are made one at a
// time during an outage may fail.
func (e *Endpoint) attempts() (n int) {
	if e.outage != nil && !e.has(Ready) {
		return 0
	}
	longest := hangsAfter
	if e.settings.MaxPending < config.NoPendingLimit {
		longest = longestHold
	}
	for _, s := range e.subchannels {
		renewal := s.renewal() && s.openedFor != ReasonRequests
		alone := e.outage != nil && e.outage.attempt == s
		if s.Pending() && !renewal && !alone && !e.clock.reached(s.dialled.Add(longest)) {
			n++
		}
	}
	return n
}

// outageMayEnd reports whether a connection that was made since the last failure has yet to prove itself,
// within ProvenAfter: then those that are missing are dialled.
func (e *Endpoint) outageMayEnd() bool {
	return e.outage != nil && slices.ContainsFunc(e.subchannels, func(s *Subchannel) bool { return s.phase == Ready && s.conn.afterFailure })
}

// canGrow reports whether one RPC more than the READY connections have streams for reaches that demand, the least
// from which the endpoint grows.
func (e *Endpoint) canGrow(demand int) bool {
	room := 0
	for s := range e.in(Ready) {
		room += s.StreamLimit()
	}
	return room+1 >= demand
}
