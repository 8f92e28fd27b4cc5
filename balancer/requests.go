package balancer

import "time"

// A requestCap is what an endpoint knows of a server that ends each connection after the
// same number of RPCs: nginx does, by keepalive_requests, and refuses what comes behind.
// Two ends in a row that agree on the number make it a rule for connections that are made
// from then on: they carry no more, and are renewed when they have carried these. The server
// says GOAWAY at that very RPC; where it does not, there is no such rule.
//
//	none ── two ends agree ──▶ most ── a connection that carried as many is not ended ──▶ none
type requestCap struct {
	most int // RPCs; 0 without a rule
	last int // that the server took on the connection that it ended last
}

// leastCap is the smallest number that makes a rule: connections that a restart ends when
// they are young may have carried equally few.
const leastCap = 8

// endsWithin is how long the server may take to end a connection that carried as many.
const endsWithin = 250 * time.Millisecond

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

// refutes reports that the connection of s carried as many RPCs as the rule has it, and that
// the server does not end it.
func (s *slot) refutes(now time.Time) bool {
	return s.spent() && !now.Before(s.spentAt.Add(endsWithin))
}

// spent reports whether the connection has carried as many.
func (s *slot) spent() bool { return !s.spentAt.IsZero() }
