package lifecycle

import "time"

// A requestLimit is what an endpoint knows of a server that ends each connection after the
// same number of RPCs: nginx does, by keepalive_requests, and refuses what comes behind.
// Two ends in a row that agree on the number make it a limit for connections that are made
// from then on: they carry no more, and are renewed when they have carried these. The server
// says GOAWAY at that very RPC; where it does not, there is no such limit. A restart may end
// connections that carried equally many, too. So until the server has ended one that was made
// under the limit, it is enough for a refutation that all its RPCs have ended: the GOAWAY would
// have come before the last answer.
//
//	none ── two ends agree ──▶ limit ── a connection that carried as many is not ended ──▶ none
type requestLimit struct {
	limit  int  // RPCs; 0 is none
	last   int  // that the server took on the connection that it ended last
	agreed int  // ends that made the limit or confirmed it
	proven bool // one of these was of a connection that was made under the limit
}

// leastRequestLimit is the smallest number that makes a limit: connections that a restart
// ends when they are young may have carried equally few.
const leastRequestLimit = 3

// The server may take endsWithin to end a connection that carried as many, for each end that
// agreed on the number, longestEnd at most: a machine may stand still for hundreds of
// milliseconds, which refutes nothing that was seen often. RPCs do not wait for this, but no
// longer than longestHold.
const (
	endsWithin = 250 * time.Millisecond
	longestEnd = 5 * time.Second
)

func (r *requestLimit) endsWithin() time.Duration {
	return min(time.Duration(r.agreed)*endsWithin, longestEnd)
}

// endedAfter takes how the server ended a connection, made under a limit of so many RPCs or 0.
func (e *Endpoint) endedAfter(end End, under int) {
	r := &e.requests
	if end.Final && under > 0 && under == end.Took && under == r.limit {
		r.proven = true
	}
	switch {
	case !end.Final:
		return
	case end.Took >= leastRequestLimit && end.Took == r.last:
		if r.limit != end.Took {
			*r = requestLimit{limit: end.Took}
		}
		r.agreed++
	case r.limit > 0 && end.Took > r.limit: // it takes more
		e.liftRequestLimit()
	}
	e.requests.last = end.Took
}

// RequestLimit returns how many RPCs may start on the connection in all; 0 is any number.
func (s *Subchannel) RequestLimit() int {
	if s.conn == nil {
		return 0
	}
	return s.conn.requests
}

// requestsUsed reports whether as many RPCs have started.
func (c *connection) requestsUsed() bool { return !c.reachedAt.IsZero() }

// checkRequestLimit ends the limit if a connection refutes it: the server does not end it in
// time. RPCs are held for that, but no longer than longestHold.
func (e *Endpoint) checkRequestLimit() {
	if e.requests.limit == 0 {
		return
	}
	for s := range e.Subchannels() {
		c := s.conn
		if c == nil || c.facts.GoAway || !c.facts.RequestsUsed && !c.requestsUsed() {
			continue
		}
		if !c.requestsUsed() {
			c.reachedAt = e.clock.now
		}
		if !c.overdue && e.clock.reached(c.reachedAt.Add(longestHold)) {
			c.overdue = true
			e.next.Overdue = append(e.next.Overdue, s)
		}
		refuted := c.facts.RequestsEnded && !e.requests.proven
		if !refuted && !e.clock.reached(c.reachedAt.Add(e.requests.endsWithin())) {
			continue
		}
		if c.facts.RequestsUsed {
			e.liftRequestLimit()
			return
		}
		c.reachedAt, c.overdue = time.Time{}, false // some that started got no stream, and do not count
	}
}

// refuteDrained ends the limit if a connection that carried as many RPCs has drained without
// a GOAWAY.
func (e *Endpoint) refuteDrained(s *Subchannel) {
	if c := s.conn; e.requests.limit > 0 && !c.facts.GoAway && (c.requestsUsed() || c.facts.RequestsUsed) {
		e.liftRequestLimit()
	}
}

func (e *Endpoint) liftRequestLimit() {
	e.requests = requestLimit{}
	for s := range e.Subchannels() {
		if s.conn != nil {
			s.conn.requests, s.conn.reachedAt, s.conn.overdue = 0, time.Time{}, false
		}
	}
	e.next.RequestsLifted = true
}
