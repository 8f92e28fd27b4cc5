package balancer

import (
	"time"

	"google.golang.org/grpc/connectivity"
)

// up reports a new connection of s, by this lane.
func (e *endpoint) up(s *slot, lane int, now time.Time) bool {
	if !s.up(now, e.random()) {
		return false
	}
	s.race.win(lane)
	e.opened[s.why]++
	e.won = append(e.won, s)
	e.sinceUp = 0
	return true
}

// checked reports what is known of the health of s: READY, TRANSIENT_FAILURE if
// the server says that it does not serve, or else CONNECTING.
func (e *endpoint) checked(s *slot, health connectivity.State) (changed bool) {
	switch health {
	case connectivity.Ready:
		changed = s.healthy()
		e.down = e.down && !changed
		return changed
	case connectivity.TransientFailure:
		e.trust() // it may be the successor
		return s.ail(true)
	}
	return s.ail(false)
}

// fail reports that a lane of s failed; gRPC now backs off and reports rest.
func (e *endpoint) fail(s *slot, lane int) bool {
	if s.phase != dialing {
		return false
	}
	if over, _ := s.race.end(lane, laneResting); over && s.fail() {
		e.countFailure(s)
	}
	return true
}

// rest reports that gRPC's backoff of a lane is over.
func (e *endpoint) rest(s *slot, lane int) bool {
	rested := s.race.rest(lane)
	if rested && !s.race.any(laneResting) {
		s.rest()
	}
	return rested
}

// lost reports the end of a connection, or of an attempt without backoff.
// flapped says that it ended too early to count as a success.
func (e *endpoint) lost(s *slot, lane int, now time.Time) (flapped bool) {
	if s.phase == dialing {
		over, failed := s.race.end(lane, laneIdle)
		if over && failed && s.fail() {
			e.countFailure(s)
		}
		if !over || failed {
			return false
		}
	} else if lane != s.race.winner {
		return false
	}
	connected := s.connected()
	flapped = s.phase == dialing || connected && now.Before(s.provenAt(e.cfg))
	if connected {
		e.lose(s, now)
	}
	if !s.down() {
		return false
	}
	if s.phase == closed {
		e.close(s)
		return false
	}
	s.eager = !flapped || connected && e.failures == 0 // once, as a plain channel would
	if !flapped {
		return false
	}
	if e.countFailure(s) {
		e.retryAt = now.Add(flapBackoff(e.failures, e.random()))
	}
	if connected { // the server can be reached: an RPC that comes may try at once
		e.sinceUp = 0
	}
	return true
}
