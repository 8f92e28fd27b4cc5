package lifecycle

import (
	"fmt"
	"math"
	"time"
)

// NoLimit is the stream limit of a server that has none, or of which none is known.
const NoLimit = math.MaxInt32

// streamLimit is what an endpoint knows of MAX_CONCURRENT_STREAMS of its server.
type streamLimit struct {
	perConnection int       // RPCs that a connection carries, for sizing; NoLimit
	none          bool      // the server allows none on any connection
	reported      int       // streams on the connection with the fewest, as last reported
	known         bool      // a connection was there to say so
	nextReport    time.Time // no further report before
}

// learnStreamLimit takes the limit for sizing from what the connections were allowed: the
// smallest of all, but for those that carry nothing now. A limit that the server lowers
// counts as before, for that is no reason to send it more connections.
func (e *Endpoint) learnStreamLimit() {
	least, connected := NoLimit, false
	e.streamLimit.none = true
	for s := range e.serving() {
		connected = true
		if s.StreamLimit() > 0 {
			e.streamLimit.none = false
			if s.conn.limit >= 0 {
				least = min(least, s.conn.usable(s.conn.limit))
			}
		}
	}
	e.streamLimit.none = e.streamLimit.none && connected
	if connected && !e.streamLimit.none {
		e.streamLimit.perConnection = least
	}
}

// reportEvery bounds the reports of the limit: a server may change it a thousand times in a
// second.
const reportEvery = time.Second

// reportStreamLimit says that the server allows another number of streams than before.
func (e *Endpoint) reportStreamLimit() {
	l := &e.streamLimit
	if !e.clock.reached(l.nextReport) {
		return
	}
	least, connected := NoLimit, false
	for s := range e.serving() {
		least, connected = min(least, s.conn.facts.Limit), true
	}
	l.known = l.known || connected
	if !connected || least == l.reported {
		return
	}
	l.nextReport = e.clock.now.Add(reportEvery)
	words := func(limit int) string {
		if limit == NoLimit {
			return "none"
		}
		return fmt.Sprint(limit)
	}
	e.decide(Decision{Kind: LimitChanged, Text: fmt.Sprintf("streams that the server allows on a connection: %s→%s", words(l.reported), words(least))})
	l.reported = least
	e.clock.reached(l.nextReport)
}

// StreamLimit returns how many streams the server allows on the connection that has the
// fewest, and whether a connection was ever there to say so.
func (e *Endpoint) StreamLimit() (streams int, known bool) {
	return e.streamLimit.reported, e.streamLimit.known
}

// longestHold bounds how long RPCs are held for an attempt. After that they wait in the
// connections that are full, under maxPending.
const longestHold = time.Second

// holdsPicks reports whether RPCs that find every connection full should wait outside: a
// connection is on its way, or will be as soon as an RPC waits. Where no limit is known none
// is ever full.
func (e *Endpoint) holdsPicks() bool {
	limited := e.streamLimit.perConnection != NoLimit
	return !e.removed && (limited && e.canGrow() || (limited || e.requests.limit > 0) && e.roomIsComing())
}

// roomIsComing reports whether all connections that are being made may soon be READY, and
// there are any. A renewal brings no room, but where the old connection has none.
func (e *Endpoint) roomIsComing() (coming bool) {
	for _, s := range e.subchannels {
		if !s.Pending() || s.renewal() && s.openedFor != ReasonRequests {
			continue
		}
		if coming = true; e.clock.reached(s.dialled.Add(longestHold)) {
			return false
		}
	}
	return coming && e.outage == nil
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
