package lifecycle

import (
	"fmt"
	"time"
)

// Connected says that the SubConn to an address of s is READY. It reports whether that is a new
// connection.
func (e *Endpoint) Connected(s *Subchannel, address int, now time.Time) bool {
	if !s.connected(now, e.demand.epoch, e.random()) {
		return false
	}
	s.attempt.won(address)
	e.countAnew()
	e.decide(Decision{Kind: Opened, ID: s.id, Reason: s.openedFor})
	e.next.Connected = append(e.next.Connected, s)
	return true
}

// Failed says that the SubConn to an address of s failed to connect, and why. gRPC backs off
// now. It reports whether s was connecting.
func (e *Endpoint) Failed(s *Subchannel, address int, cause string) bool {
	if s.phase != Connecting {
		return false
	}
	e.decideFailed(s, address, cause)
	if over, _ := s.attempt.ended(address, addressBackoff); over && s.failed() {
		e.countFailure(s)
	}
	return true
}

// NotDialled says that no SubConn could be made to an address of s, and why.
func (e *Endpoint) NotDialled(s *Subchannel, address int, cause string, now time.Time) {
	e.lostConnecting(s, address, now)
	e.decideFailed(s, address, cause)
}

// BackoffOver says that a SubConn is IDLE. gRPC reports that both when a backoff ends and when a
// connection is lost: false is for the latter, which is to be told by Lost.
func (e *Endpoint) BackoffOver(s *Subchannel, address int) bool {
	over := s.attempt.backoffOver(address)
	if over && !s.attempt.any(addressBackoff) {
		s.backoffOver()
	}
	return over
}

// An End is what is known of a connection that has ended.
type End struct {
	InFlight int    // RPCs
	Answered bool   // the server answered one, or said that it took one
	NoError  bool   // by a GOAWAY without an error
	Final    bool   // and that said how many RPCs the server took
	Took     int    // so many
	GoAway   string // the GOAWAY in words; empty if there was none
	Cause    string // why it ended, if it flapped
	Alone    bool   // the channel has no other endpoint
}

// Lost says that the connection of s ended, or an attempt without backoff. It reports whether
// it flapped: ended too early to count as a success.
func (e *Endpoint) Lost(s *Subchannel, address int, end End, now time.Time) (flapped bool) {
	if s.phase == Connecting {
		if flapped = e.lostConnecting(s, address, now); flapped {
			if end.Alone {
				e.Unwanted()
			}
			e.reachable(s, address, end.Cause)
		}
		return flapped
	}
	if !s.Connected() || address != s.attempt.connected {
		return false
	}
	served := s.InService()
	s.conn.facts.Answered = end.Answered
	inOrder := end.NoError && e.Used() && now.Sub(s.conn.since) >= endsInOrderAfter
	flapped = served && !inOrder && now.Before(s.conn.provenAt(e.settings))
	e.endedAfter(s.conn, end, now)
	if served {
		s.limitEnded = end.Final && e.requests.limit > 0 && end.Took >= e.requests.limit
		e.decideLost(s, end, now)
		if end.Alone {
			e.Unwanted()
		}
		e.countAnew()
		e.clock = clock{now: now}
		e.endOutage() // if it has proved itself, by its end at the latest
	}
	s.lost()
	s.forRPC = false
	if s.phase == Closed {
		e.close(s, false)
		return false
	}
	s.mayRedial = !flapped || e.outage == nil // once, as a plain channel would
	if flapped {
		e.countFlap(s, now)
		e.reachable(s, address, end.Cause)
	}
	if end.InFlight == 0 {
		e.lostUnused()
	}
	return flapped
}

// lostConnecting is Lost for an attempt. gRPC skips READY if a connection ends at once.
func (e *Endpoint) lostConnecting(s *Subchannel, address int, now time.Time) (flapped bool) {
	over, failed := s.attempt.ended(address, addressLost)
	switch {
	case !over:
		return false
	case failed:
		if s.failed() {
			e.countFailure(s)
		}
		return false
	}
	s.lost()
	e.countFlap(s, now)
	return true
}

// Draining says that no RPC can start on s any more since now: drainTimeout begins. To carry
// out the plan that has it in Drain may have taken a while, in which RPCs still came.
func (s *Subchannel) Draining(now time.Time) {
	if s.phase == Draining {
		s.conn.drainingAt = now
	}
}

// countFlap counts a failure after which gRPC does not back off: the endpoint does.
func (e *Endpoint) countFlap(s *Subchannel, now time.Time) {
	if e.countFailure(s) {
		e.outage.noneUntil = now.Add(flapBackoff(e.outage.failures, e.random()))
	}
	e.outage.flapped = true
}

// reachable tells of a flap: the server can be reached, and so an RPC that waits may try at once, as
// pick_first becomes IDLE then, though it was in TRANSIENT_FAILURE before.
func (e *Endpoint) reachable(s *Subchannel, address int, cause string) {
	e.decideFailed(s, address, cause)
	e.outdate()
}

// decideLost says why the connection of s is gone.
func (e *Endpoint) decideLost(s *Subchannel, end End, now time.Time) {
	how := "lost its connection"
	s.openedFor = ReasonLost
	if s.limitEnded {
		how, s.openedFor = "carried as many RPCs as the server takes on a connection", ReasonRequests
	}
	text := fmt.Sprintf("subchannel %d %s, after %v", s.id, how, ago(s.conn.since, now))
	if end.GoAway != "" {
		text += ": " + end.GoAway
	}
	e.decide(Decision{Kind: Lost, ID: s.id, Reason: s.openedFor, Text: text})
}
