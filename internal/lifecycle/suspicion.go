package lifecycle

import (
	"fmt"
	"slices"
	"time"
)

// maxSuspicionGap bounds the time between two suspicions of an endpoint.
const maxSuspicionGap = 5 * time.Minute

// suspicion says when a connection that is worse than its siblings may be suspected. It may be
// the server, of which each connection is as bad, so suspicions become rarer, up to one in
// maxSuspicionGap.
type suspicion struct {
	next     time.Time // no connection is suspected before
	gap      time.Duration
	outliers outliers
}

// suspect says what s did. If no connection is suspect, and the last suspicion is long enough
// ago, s is: then it is due to be replaced, and until it is, picked only if no other is READY.
func (e *Endpoint) suspect(s *Subchannel, why Reason, did string, now time.Time) {
	if now.Before(e.suspicion.next) {
		return
	}
	x, first := &e.suspicion, e.settings.UnresponsiveTimeout
	if why == ReasonOutlier {
		first = e.settings.OutlierInterval
	}
	if e.removed || slices.ContainsFunc(e.subchannels, (*Subchannel).Suspect) {
		return
	}
	if now.Sub(x.next) > maxSuspicionGap {
		x.gap = 0
	}
	x.gap = min(max(2*x.gap, first), maxSuspicionGap)
	x.next = now.Add(x.gap)
	e.replaceSuspect(s, why, did)
}

func (e *Endpoint) replaceSuspect(s *Subchannel, why Reason, did string) {
	s.conn.suspectFor = why
	e.decide(Decision{
		Kind: Suspected, ID: s.id, Reason: why, Warn: true,
		Text: fmt.Sprintf("subchannel %d %s, and is replaced", s.id, did),
	})
}

// clearSuspicion ends it without a verdict: no other connection can be made, so it is the
// server that does not answer.
func (e *Endpoint) clearSuspicion() {
	for _, s := range e.subchannels {
		if s.Connected() {
			s.conn.suspectFor = ReasonStart
		}
	}
}

func (c *connection) suspect() bool { return c.suspectFor != ReasonStart }

// Suspect reports whether the connection is to be picked only if no other is READY.
func (s *Subchannel) Suspect() bool { return s.Connected() && s.conn.suspect() }
