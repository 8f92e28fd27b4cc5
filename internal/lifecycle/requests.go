package lifecycle

import "time"

// A requestLimit is what an endpoint knows of a server that ends each connection after the
// same number of RPCs: nginx does, by keepalive_requests, and refuses what comes behind.
// Two ends in a row that agree on the number make it a limit for connections that have not carried
// as many, and for all that are made from then on: they carry no more. The server says GOAWAY at that
// very RPC; where it does not, there is no such limit. A restart may end connections that carried equally
// many, too. So the limit is proven when the server has ended a connection that was made under it. Before that
// none is renewed for it, and no RPC is held for the end of one.
//
//	none ── two ends agree ──▶ limit ── a connection made under it is ended ──▶ proven
//
// Both end when a connection that carried as many is not ended in time.
type requestLimit struct {
	limit  int       // RPCs; 0 is none
	since  time.Time // when there were two ends that agree
	last   int       // RPCs that the server took on the connection that it ended last
	agreed int       // ends after as many RPCs as the one before, since there is a limit
	proven bool      // the server ended a connection that was made under the limit
}

// leastRequestLimit is the smallest number that makes a limit: connections that a restart
// ends when they are young may have carried equally few.
const leastRequestLimit = 3

// The server may take perEnd to end a connection that carried as many, for each end after as many RPCs as the one
// before it, longestEnd at most: a machine may stand still for hundreds of milliseconds, which refutes
// nothing that was seen often. If the limit is not proven that is longestHold at most, for which RPCs are held if
// it is.
const (
	perEnd     = 250 * time.Millisecond
	longestEnd = 5 * time.Second
)

func (r *requestLimit) endsWithin() time.Duration {
	longest := longestHold
	if r.proven {
		longest = longestEnd
	}
	return min(time.Duration(r.agreed)*perEnd, longest)
}

// A requestUse is what is known of one connection for the request limit.
type requestUse struct {
	most      int       // RPCs that may start here in all; 0 is any number
	startedAt time.Time // when the last one was seen to have started; zero if none was
	reachedAt time.Time // when most were seen to have started; or zero
	awaitEnd  bool      // RPCs are held for its end
}

// endedAfter takes how the server ended a connection.
func (e *Endpoint) endedAfter(c *connection, end End, now time.Time) {
	r := &e.requests
	if end.Final && r.limit > 0 && end.Took > r.limit { // it takes more
		e.liftRequestLimit()
	}
	if !c.teaches(end, now) {
		return
	}
	if end.Took == r.last && end.Took >= leastRequestLimit {
		if r.limit != end.Took {
			*r = requestLimit{limit: end.Took, since: now}
		}
		r.agreed++
	}
	if r.limit > 0 && end.Took == r.limit && c.requests.most == r.limit && !c.since.Before(r.since) {
		r.proven = true
	}
	r.last = end.Took
}

// teaches reports whether a connection may have been ended for the number of its RPCs. Then the GOAWAY
// came with the last of them. A restart ends connections whose last RPC began any time ago, and
// where these are streams that stay open, each may carry equally many.
func (c *connection) teaches(end End, now time.Time) bool {
	seen := c.facts.Started >= uint32(end.Took) // or the last one began since
	return end.Final && (!seen || now.Sub(c.requests.startedAt) < longestEnd)
}

// RequestLimit returns how many RPCs may start on the connection in all; 0 is any number.
func (s *Subchannel) RequestLimit() int {
	if s.conn == nil {
		return 0
	}
	return s.conn.requests.most
}

// AwaitsEnd reports whether RPCs that come then are held until the server ends the connection.
func (s *Subchannel) AwaitsEnd() bool { return s.conn != nil && s.conn.requests.awaitEnd }

// requestsUsed reports whether as many RPCs have started.
func (c *connection) requestsUsed() bool { return !c.requests.reachedAt.IsZero() }

// usedUp reports whether a connection is to be replaced because as many RPCs have started as may. As long as the
// limit is not proven none is: if there is no limit the next one would be used up, too, and so on, until that is
// known.
func (e *Endpoint) usedUp(c *connection) bool {
	return c.requestsUsed() && e.requests.proven
}

// checkRequestLimit makes the limit hold for connections that have not carried as many, and ends it if
// one refutes it: the server does not end that in time. Where RPCs are not held for its end they are sent, and may
// be refused once, or wait for a lost connection that is made again.
//
// It is not enough that the limit holds for connections that are made from then on:
//   - a connection ends, and another is dialled and READY;
//   - a second one ends, and their numbers agree;
//   - the new connection has no limit, and gets all RPCs that the server refused.
func (e *Endpoint) checkRequestLimit() {
	if e.requests.limit == 0 {
		return
	}
	for s := range e.Subchannels() {
		c := s.conn
		if c == nil || c.facts.GoAway {
			continue
		}
		if c.requests.most == 0 && s.InService() && c.facts.Started < uint32(e.requests.limit) {
			c.requests.most, e.next.RequestLimits = e.requests.limit, true
		}
		if c.facts.RequestsUsed && !c.requestsUsed() {
			c.requests.reachedAt = e.clock.now
		}
		if c.requestsUsed() && e.clock.reached(c.requests.reachedAt.Add(e.requests.endsWithin())) {
			if c.facts.RequestsUsed {
				e.liftRequestLimit()
				return
			}
			c.requests.reachedAt = time.Time{} // some that started got no stream, and do not count
		}
		if awaitEnd := e.awaitsEnd(c); awaitEnd != c.requests.awaitEnd {
			c.requests.awaitEnd, e.next.RequestLimits = awaitEnd, true
		}
	}
}

// awaitsEnd reports whether RPCs are held for the end of c, once as many have started as may.
func (e *Endpoint) awaitsEnd(c *connection) bool {
	return e.requests.proven && !(c.requestsUsed() && e.clock.reached(c.requests.reachedAt.Add(longestHold)))
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
			s.conn.requests = requestUse{startedAt: s.conn.requests.startedAt}
		}
	}
	e.next.RequestLimits = true
}
