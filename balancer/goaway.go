package balancer

import (
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/internal/wire"
)

// took returns how many RPCs the server takes by a GOAWAY. The stream of the health
// checking is among those that it means.
func (note *healthNote) took(g wire.GoAway) int {
	if note.watched.Load() {
		return g.Streams() - 1
	}
	return g.Streams()
}

// endedBy takes what is known of the connection of s, which has ended. w is its wire, or
// nil.
func (s *slot) endedBy(w *wire.Wire) {
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

// refutesRequests reports that the connection of s carried more than the server was thought
// to take, or drained after as many, and that the server did not end it. RPCs that it
// refused may be among those that a connection seems to have carried once it said GOAWAY.
func (s *slot) refutesRequests(most int) bool {
	load, done := s.sub.load, int(s.sub.load.Starts())-s.inFlight()
	return most > 0 && !load.GoneAway() && (done > most || done == most && load.Drained())
}

// forgetRequestsLocked ends the rule. RPCs may wait for it.
func (p *pool) forgetRequestsLocked(e *endpointOf) {
	e.requests = requestCap{}
	for _, s := range e.slots {
		if s.spent = false; s.connected() {
			s.sub.load.SetMost(0)
		}
	}
	p.recount = true
}

// repeatWithin bounds how long RPCs that a GOAWAY ended wait for a fresh connection. It is
// two handshakes of a distant server.
const repeatWithin = 500 * time.Millisecond

// lateRepeats is how long after the first fresh connection some may still come.
const lateRepeats = 50 * time.Millisecond

// repeatsEndLocked closes the windows that are over: after repeatWithin, lateRepeats after a
// fresh connection is there, or as soon as there is none and none on its way. It reports whether RPCs that wait for
// one must go to any.
func (p *pool) repeatsEndLocked(now time.Time) bool {
	open := false
	for _, e := range p.endpoints {
		if !e.goAways.Open() {
			continue
		}
		if e.freshUntil.IsZero() {
			e.freshUntil = now.Add(repeatWithin)
		}
		if e.hasFresh() && now.Add(lateRepeats).Before(e.freshUntil) {
			e.freshUntil = now.Add(lateRepeats)
		}
		if !now.Before(e.freshUntil) || !e.renewsAfterGoAway() {
			e.freshUntil = time.Time{}
			e.goAways.Close()
			continue
		}
		open = true
	}
	return !open && p.gate.Repeats()
}

func (e *endpointOf) hasFresh() bool {
	return slices.ContainsFunc(e.slots, func(s *slot) bool { return s.phase == ready && s.sub.load.Fresh() })
}

// renewsAfterGoAway reports whether a fresh connection is there or may soon be. Of one that
// said GOAWAY gRPC tells in a moment that it is lost.
func (e *endpointOf) renewsAfterGoAway() bool {
	return e.hasFresh() || slices.ContainsFunc(e.slots, func(s *slot) bool {
		return s.onItsWay() || s.connected() && s.sub.load.GoneAway()
	})
}
