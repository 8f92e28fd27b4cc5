package balancer

import (
	"slices"
	"time"
)

// A requestCap is what an endpoint knows of a server that ends each connection after the
// same number of RPCs: nginx does, by keepalive_requests, and refuses what comes behind.
// Two ends in a row that agree on the number make it a rule for connections that are made
// from then on: they carry no more, and are renewed when they have carried these.
//
//	none ── two ends agree ──▶ most ── a connection carried more, or drained after ──▶ none
//	                                   as many and was not ended; or one has carried
//	                                   most, and none is on its way
type requestCap struct {
	most int // RPCs; 0 without a rule
	last int // that the server took on the connection that it ended last
}

// leastCap is the smallest number that makes a rule: connections that a restart ends when
// they are young may have carried equally few.
const leastCap = 8

// ended reports that the server ended a connection, and took that many RPCs on it.
func (c *requestCap) ended(took int) {
	switch {
	case took >= leastCap && took == c.last:
		c.most = took
	case took > c.most:
		c.most = 0
	}
	c.last = took
}

// withholds reports whether RPCs find all connections spent, and none is on its way.
func (e *endpoint) withholds(now time.Time) bool {
	spent := slices.ContainsFunc(e.slots, func(s *slot) bool { return s.phase == ready && s.spent })
	serves := slices.ContainsFunc(e.slots, func(s *slot) bool { return s.phase == ready && !s.spent })
	return spent && !serves && !e.dials(now)
}
