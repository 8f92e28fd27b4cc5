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
	perConnection int       // RPCs that a connection may carry, for sizing; NoLimit
	allZero       bool      // no connection may carry any now
	reported      int       // streams on the connection with the fewest, as last reported
	known         bool      // a connection was there to say so
	nextReport    time.Time // no further report before
}

// learnStreamLimit takes the limit for sizing from what the connections were allowed: the
// smallest of all, except connections whose present limit is 0. A limit that the server lowers
// counts as before, for that is no reason to send it more connections. A connection that is young
// and has stated none says nothing: a proxy may state the server's limit late, and the endpoint would
// shrink until then.
func (e *Endpoint) learnStreamLimit(now time.Time) {
	least, connected, stated := NoLimit, false, false
	e.streamLimit.allZero = true
	for s := range e.inService() {
		connected = true
		if s.StreamLimit() == 0 {
			continue
		}
		e.streamLimit.allZero = false
		if s.conn.limit >= 0 {
			least, stated = min(least, s.conn.usable(s.conn.limit)), true
		}
		stated = stated || now.Sub(s.conn.since) >= ProvenAfter
	}
	e.streamLimit.allZero = e.streamLimit.allZero && connected
	if stated {
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
	for s := range e.inService() {
		least, connected = min(least, s.conn.facts.Limit), true
	}
	l.known = l.known || connected
	if !connected || least == l.reported {
		return
	}
	l.nextReport = e.clock.now.Add(reportEvery)
	words := func(limit int) string {
		if limit == NoLimit {
			return "unlimited"
		}
		return fmt.Sprint(limit)
	}
	e.decide(Decision{Kind: LimitChanged, Text: fmt.Sprintf("MAX_CONCURRENT_STREAMS: %s→%s", words(l.reported), words(least))})
	l.reported = least
	e.clock.reached(l.nextReport)
}

// AdvertisedLimit returns how many streams the server allows on the connection that has the
// fewest, and whether a connection was ever there to say so.
func (e *Endpoint) AdvertisedLimit() (streams int, known bool) {
	return e.streamLimit.reported, e.streamLimit.known
}
