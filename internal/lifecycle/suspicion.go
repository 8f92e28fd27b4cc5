package lifecycle

import (
	"fmt"
	"slices"
	"time"
)

// maxSuspicionGap bounds the time between two suspicions of an endpoint.
const maxSuspicionGap = 5 * time.Minute

// suspicion says when a connection that answers nothing may be suspected. A server that
// never answers looks the same, so suspicions become rarer, up to one in maxSuspicionGap.
type suspicion struct {
	next time.Time // no connection is suspected before
	gap  time.Duration
}

// suspect says that s answers nothing any more. If no connection is suspect, and the last
// suspicion is long enough ago, s is: then it is due to be replaced, and until it is, picked
// only if no other can be.
func (e *Endpoint) suspect(s *Subchannel, now time.Time) {
	x := &e.suspicion
	if e.removed || now.Before(x.next) || slices.ContainsFunc(e.subchannels, (*Subchannel).Suspect) {
		return
	}
	if now.Sub(x.next) > maxSuspicionGap {
		x.gap = 0
	}
	x.gap = min(max(2*x.gap, e.settings.UnresponsiveTimeout), maxSuspicionGap)
	x.next = now.Add(x.gap)
	s.conn.suspect = true
	e.decide(Decision{
		Kind: Suspected, ID: s.id, Reason: ReasonUnresponsive, Warn: true,
		Text: fmt.Sprintf("subchannel %d has answered nothing for %v, and is replaced", s.id, e.settings.UnresponsiveTimeout),
	})
}

// clearSuspicion ends it without a verdict: no other connection can be made, so it is the
// server that does not answer.
func (e *Endpoint) clearSuspicion() {
	for _, s := range e.subchannels {
		if s.Connected() {
			s.conn.suspect = false
		}
	}
}

// Suspect reports whether the connection is to be picked only if no other can be.
func (s *Subchannel) Suspect() bool { return s.Connected() && s.conn.suspect }
