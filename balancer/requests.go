package balancer

import "time"

// A requestCap is what an endpoint knows of a server that ends each connection after the
// same number of RPCs: nginx does, by keepalive_requests, and refuses what comes behind.
// Two ends in a row that agree on the number make it a rule for connections that are made
// from then on: they carry no more, and when they have carried these they are renewed, be
// it before the server ends them.
//
//	none ── two ends agree ──▶ most ── a connection carried more, or drained after ──▶ none
//	                                   as many and was not ended
//
// A connection that has carried most, and is not ended for a while, takes RPCs again: it
// is the server's word that counts, and RPCs that it refuses are repeated.
type requestCap struct {
	most int // RPCs; 0 without a rule
	last int // that the server took on the connection that it ended last
}

// ended reports that the server ended a connection, and took that many RPCs on it.
func (c *requestCap) ended(took int) {
	switch {
	case took > 0 && took == c.last:
		c.most = took
	case took > c.most:
		c.most = 0
	}
	c.last = took
}

// carried reports what the connection of s has carried so far, and tells whether more may
// start on some connection from here on, for which RPCs may wait. While RPCs wait in it for
// a stream the server has not seen as many yet.
func (e *endpoint) carried(s *slot, started, inFlight int, now time.Time) (more bool) {
	switch {
	case e.requests.most > 0 && started-inFlight > e.requests.most:
		e.forgetRequests()
		return true
	case s.most == 0 || started < s.most || inFlight > s.limit:
		s.spentAt = time.Time{}
	case s.spentAt.IsZero():
		s.spentAt = now
	case !now.Before(s.spentAt.Add(e.patience())):
		s.most, s.spentAt = 0, time.Time{}
		return true
	}
	return false
}

// spent reports whether the connection has carried what the server takes.
func (s *slot) spent() bool { return !s.spentAt.IsZero() }

func (e *endpoint) forgetRequests() {
	e.requests = requestCap{}
	for _, s := range e.slots {
		s.most, s.spentAt = 0, time.Time{}
	}
}

// patience is for what takes a server's word and a handshake: about two of these, but no
// longer than RPCs may wait.
func (e *endpoint) patience() time.Duration {
	return min(minPatience+2*e.handshake, maxPatience)
}

const (
	minPatience = 50 * time.Millisecond
	maxPatience = 250 * time.Millisecond
)
