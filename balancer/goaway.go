package balancer

import (
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/internal/h2conn"
)

// took returns how many RPCs the server takes by a GOAWAY. The stream of the health
// checking is among those that it means.
func (note *healthNote) took(g h2conn.GoAway) int {
	if note.watched.Load() {
		return g.Streams() - 1
	}
	return g.Streams()
}

// endedBy takes what is known of the connection of s, which has ended. w is that connection, or
// nil.
func (s *slot) endedBy(w *h2conn.Conn) {
	s.ended = ""
	if s.sub.load == nil {
		return
	}
	s.served = s.sub.load.Served()
	if w == nil || w.GoAway() == nil {
		return
	}
	g := *w.GoAway()
	s.ended = ": " + g.String()
	if requests := &s.sub.owner.requests; !g.Graceful() && g.Code == 0 {
		took := s.sub.health.took(g)
		requests.ended(took)
		s.worn = requests.most > 0 && took >= requests.most
	}
}

// judgeRequestsLocked ends the rule on RPCs of a connection, for which RPCs may wait, if the
// connection of s refutes it: in time, or because it has drained.
func (p *pool) judgeRequestsLocked(s *slot, now time.Time) {
	e, load := s.sub.owner, s.sub.load
	if load.GoAwayReceived() || e.requests.most == 0 {
		return
	}
	switch {
	case load.RequestLimitReached() && !s.spent():
		s.spentAt = now
		return
	case s.refutes(now) && !load.RequestLimitReached(): // some that started had no stream
		s.spentAt = time.Time{}
		return
	case !s.refutes(now) && !(s.spent() && load.Drained()):
		return
	}
	e.requests = requestCap{}
	for _, o := range slices.Concat(e.slots, e.leaving) {
		if o.spentAt = (time.Time{}); o.sub.load != nil {
			o.sub.load.SetRequestLimit(0)
		}
	}
	p.recount = true
}

const (
	// repeatWithin bounds how long RPCs that a GOAWAY ended wait for a fresh connection
	// after the last GOAWAY: about two handshakes of a distant server.
	repeatWithin = 500 * time.Millisecond
	// freshAfter is how long a connection must live to be fresh: one that is dialled just
	// when a server restarts may still be taken by the old process.
	freshAfter = 5 * time.Millisecond
	// lateRepeats is how long after that repeats may still come.
	lateRepeats = 50 * time.Millisecond
)

// repeatsEndLocked looks after the windows. One is over in time, or as soon as there is no
// connection that was dialled within it, and none on its way. It reports whether none is
// open, and RPCs that wait for a fresh connection must go to any.
func (p *pool) repeatsEndLocked(now time.Time) bool {
	open := false
	for _, e := range p.endpoints {
		opened := e.goAways.Opened()
		if opened == 0 {
			continue
		}
		if n := e.goAways.Count(); n != e.goAwaysSeen {
			e.goAwaysSeen, e.freshUntil = n, now.Add(repeatWithin)
		}
		coming := false
		for _, s := range e.slots {
			dialled := s.phase == ready && s.won().since >= opened
			if dialled && !now.Before(s.since.Add(freshAfter)) && !s.sub.load.Fresh() {
				s.sub.load.SetFresh(opened)
				p.recount = true
				e.freshUntil = now.Add(lateRepeats)
			}
			// Of one that said GOAWAY gRPC tells in a moment that it is lost.
			coming = coming || dialled || s.onItsWay() || s.connected() && s.sub.load.GoAwayReceived()
		}
		if !now.Before(e.freshUntil) || !coming {
			e.freshUntil = time.Time{}
			e.goAways.Close()
			p.recount = p.recount || p.waiters.Retrying() // those that are kept may find a place here
			continue
		}
		open = true
	}
	return !open && p.waiters.Retrying()
}
