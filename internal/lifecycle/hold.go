package lifecycle

import (
	"time"

	"github.com/grpc-subpool/subpool/config"
)

// Whether an RPC that finds every connection full may wait outside of them is decided in two
// steps: here for the endpoint, as Plan.Coming, and for each RPC by the picker that is made
// with it, package picker.

// longestHold bounds how long RPCs are held for an attempt, where maxPending bounds how many may wait. After
// that they wait in the connections that are full, under maxPending.
const longestHold = time.Second

// coming returns for how many connections RPCs that find every connection full are held: those that are on
// their way, or that would be as soon as an RPC waits. Where no limit is known none is ever full.
func (e *Endpoint) coming() (n int) {
	limited := e.streamLimit.perConnection != NoLimit
	if e.removed || !limited && e.requests.limit == 0 {
		return 0
	}
	if limited && e.canGrow() {
		n = e.settings.MaxSize - e.count(Ready)
	}
	return max(n, e.roomComing())
}

// roomComing counts the connections that may soon be READY. A renewal brings no room, but where the old
// connection has none, and that is sure. An attempt that takes long may hang.
func (e *Endpoint) roomComing() (n int) {
	if e.outage != nil {
		return e.comingAfterOutage()
	}
	longest := hangsAfter
	if e.settings.MaxPending < config.NoPendingLimit {
		longest = longestHold
	}
	for _, s := range e.subchannels {
		renewal := s.renewal() && !(s.openedFor == ReasonRequests && e.requests.proven)
		if s.Pending() && !renewal && !e.clock.reached(s.dialled.Add(longest)) {
			n++
		}
	}
	return n
}

// comingAfterOutage counts those that are missing, if a connection that was made since the last failure has
// yet to prove itself, within ProvenAfter: then the others are dialled.
func (e *Endpoint) comingAfterOutage() int {
	for s := range e.in(Ready) {
		if s.conn.afterFlap {
			return max(0, e.Size()-e.count(Ready))
		}
	}
	return 0
}

// canGrow reports whether one RPC more than there is room for makes the endpoint grow.
func (e *Endpoint) canGrow() bool {
	most := outgrows(e.settings, e.Size(), e.streamLimit.perConnection)
	room := 0
	for s := range e.in(Ready) {
		room += s.StreamLimit()
	}
	return most > 0 && room+1 >= most && e.outage == nil
}
