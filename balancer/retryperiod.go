package balancer

import (
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/internal/lifecycle"
	"github.com/grpc-subpool/subpool/internal/load"
)

// goAways is what an endpoint knows of GOAWAYs. The first one opens a retry period, in which RPCs
// that gRPC retries by itself (transparent retries, gRFC A6) go to connections that were
// dialled after it, or wait for one. gRPC does that once: were the second attempt to meet a
// connection that is about to say GOAWAY, too, as one to a server that restarts is, the RPC
// would fail.
type goAways struct {
	count      load.GoAways
	seen       uint32    // what count was when the period was last made longer
	retryUntil time.Time // zero if there is none
	freshSince time.Time // when a connection became fresh in it; or zero
}

const (
	// retryWithin bounds how long RPCs that a GOAWAY refused wait for a fresh connection
	// after the last GOAWAY: about two handshakes of a distant server.
	retryWithin = 500 * time.Millisecond
	// freshAfter is how long a connection must live to be fresh: one that is dialled just
	// when a server restarts may still be taken by the old process.
	freshAfter = 5 * time.Millisecond
	// lateRetries is how long the period lasts after a connection became fresh.
	lateRetries = 50 * time.Millisecond
)

// endRetriesLocked looks after the retry periods. It reports whether none is open, and RPCs
// that wait for a fresh connection must go to any. What becomes of the connection, and of RPCs
// that the server processes, is in shutdown.go: they linger.
func (p *pool) endRetriesLocked(now time.Time) bool {
	x := &p.endpoints
	x.retrying = slices.DeleteFunc(x.retrying, func(e *endpoint) bool {
		if p.inRetryPeriodLocked(e, now) {
			return false
		}
		e.goAways.retryUntil, e.goAways.freshSince = time.Time{}, time.Time{}
		e.goAways.count.Close()
		p.schedule.republish = p.schedule.republish || p.waiters.Retrying() // those that are held may find a place here
		return true
	})
	// A GOAWAY may have come of which gRPC has not told yet.
	opened := func(e *endpoint) bool { return e.goAways.count.Opened() != 0 }
	return len(x.retrying) == 0 && p.waiters.Retrying() && !slices.ContainsFunc(x.list, opened)
}

// inRetryPeriodLocked reports whether the period of e goes on. It is over in time, or as soon as
// there is no connection that was dialled within it, and none on its way. Where connections live for less
// than a second GOAWAYs may come on and on: the next period begins at one that comes late in this, or a
// connection that is about to get one, too, would be fresh still.
func (p *pool) inRetryPeriodLocked(e *endpoint, now time.Time) bool {
	g, opened := &e.goAways, e.goAways.count.Opened()
	if n := g.count.Count(); n != g.seen {
		g.seen, g.retryUntil = n, now.Add(retryWithin)
		if late := g.freshSince.Add(lateRetries); !g.freshSince.IsZero() && !now.Before(late) {
			g.freshSince, opened = time.Time{}, g.count.Reopen()
		}
	}
	pending := false
	for _, s := range e.subchannels {
		dialled := s.Phase() == lifecycle.Ready && s.conn.subConn.goAwaysAtDial >= opened
		if dialled && !now.Before(s.Since().Add(freshAfter)) && !s.conn.load.Fresh() {
			s.conn.load.SetFresh(opened)
			if g.freshSince.IsZero() {
				g.freshSince = now
			}
			p.schedule.republish = true
			g.retryUntil = now.Add(lateRetries)
		}
		// gRPC is about to report IDLE for a connection that got a GOAWAY.
		pending = pending || dialled || s.Pending() || s.InService() && s.conn.load.GoAwayReceived()
	}
	return pending && now.Before(g.retryUntil)
}
