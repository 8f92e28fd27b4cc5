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

// refutesRequests reports that the connection of s carried what the server takes, and has
// drained, and the server did not end it.
func (s *slot) refutesRequests() bool {
	return s.spent() && s.sub.wire != nil && s.sub.wire.GoAway() == nil
}

// A goAwayWindow is as long as connections that were dialled within it are fresh.
type goAwayWindow struct {
	seen         uint32    // GOAWAYs
	begin, until time.Time // until is zero while there is no window
}

// maxWindow bounds a window that one GOAWAY after the other makes longer: by its end what
// was made at its beginning is as good as any.
const maxWindow = time.Second

// closes reports whether the window of e ends: patience after the last GOAWAY, or as soon
// as there is no fresh connection and none on its way.
func (e *endpointOf) closes(now time.Time) bool {
	w := &e.fresh
	if w.until.IsZero() {
		w.begin = now
	}
	if n := e.goAways.Count(); n != w.seen || w.until.IsZero() {
		w.seen, w.until = n, now.Add(e.patience())
	}
	return !now.Before(w.until) || !now.Before(w.begin.Add(maxWindow)) || !e.renewsAfterGoAway()
}

// repeatsEndLocked closes the windows that are over. It reports whether RPCs that a GOAWAY
// ended, and that wait for a fresh connection, must go to any.
func (p *pool) repeatsEndLocked(now time.Time) bool {
	open := false
	for _, e := range p.endpoints {
		if e.goAways.Open() && e.closes(now) {
			e.fresh.until = time.Time{}
			e.goAways.Close()
		}
		open = open || e.goAways.Open()
	}
	return !open && p.gate.Repeats()
}

// renewsAfterGoAway reports whether a fresh connection is there or may soon be. Of one that
// said GOAWAY gRPC tells in a moment that it is lost.
func (e *endpointOf) renewsAfterGoAway() bool {
	return slices.ContainsFunc(e.slots, func(s *slot) bool {
		return s.phase == dialing || s.connected() && !s.unwell && (s.sub.load.Fresh() || s.sub.load.GoneAway())
	})
}
