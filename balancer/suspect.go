package balancer

import (
	"slices"
	"sync/atomic"
	"time"
)

// maxCaseGap bounds the time between two cases of an endpoint.
const maxCaseGap = 5 * time.Minute

// silence is how long a connection has answered nothing: since the first of its RPCs
// that ended in silence, while not one byte came.
type silence struct {
	begin    time.Time     // of the connection; by it, a clock that is set does no harm
	received atomic.Uint64 // bytes, and one, when that RPC ended; 0 before any
	since    atomic.Int64  // how long after begin that was
	long     atomic.Bool   // it has been long enough
}

// ended reports an RPC that was sent, and ended at its deadline without an answer.
// It may be called by several of them at once: then they end at the same time, and
// one that is late with an old count only makes the silence begin anew.
func (x *silence) ended(received uint64, now time.Time, than time.Duration) (long bool) {
	at := now.Sub(x.begin)
	if x.received.Load() != received+1 {
		x.since.Store(int64(at))
		x.received.Store(received + 1)
		return false
	}
	return at-time.Duration(x.since.Load()) >= than
}

// suspect says that s answers nothing any more. It makes a case if the endpoint has
// none and the last one is long enough ago: then s is due to be replaced, and until
// then picked only if no other can be. A server that never answers looks the same,
// so cases become rarer, up to one in maxCaseGap.
func (e *endpoint) suspect(s *slot, now time.Time) bool {
	if !s.connected() || e.removed || now.Before(e.nextCase) || slices.ContainsFunc(e.slots, func(o *slot) bool { return o.doubted }) {
		return false
	}
	if now.Sub(e.nextCase) > maxCaseGap {
		e.caseGap = 0
	}
	e.caseGap = min(max(2*e.caseGap, e.cfg.UnresponsiveTimeout), maxCaseGap)
	e.nextCase = now.Add(e.caseGap)
	s.doubted = true
	e.note("suspected", "subchannel %d has answered nothing for %v, and is replaced", s.order, e.cfg.UnresponsiveTimeout)
	e.notes[len(e.notes)-1].warn = true
	return true
}

// trust ends the case without a verdict: no other connection can be made, so it is
// the server.
func (e *endpoint) trust() {
	for _, s := range e.slots {
		s.doubted = false
	}
}
