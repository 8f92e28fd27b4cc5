package lifecycle

import (
	"slices"
	"time"
)

// An outage lasts from the first failed attempt of an endpoint to the first connection that
// proves itself. While it lasts one attempt is made at a time, and the backoff is that of one
// subchannel, the probe: each further subchannel would start a backoff of its own, and
// sixteen of them would dial a dead server sixteen times as often as one.
type outage struct {
	failures  int         // of the probe, in a row; at least 1
	probe     *Subchannel // nil until one is chosen
	attempt   *Subchannel // that was dialled last
	sinceUp   int         // failures of attempts for RPCs, since a connection was last made or lost
	failed    time.Time   // when the last of these attempts began; while sinceUp is not 0
	flapped   bool        // the last failure was a flap
	noneUntil time.Time   // no attempt before, where gRPC's backoff does not hold
}

// countFailure records a failed attempt, which begins an outage and ends a suspicion. It reports
// whether s is the probe: attempts of other subchannels began before the first failure was
// known, and do not lengthen the backoff.
func (e *Endpoint) countFailure(s *Subchannel) bool {
	e.clearSuspicion()
	e.decide(Decision{Kind: AttemptFailed, ID: s.id, Reason: s.openedFor, Renewal: s.renewal()})
	if e.outage == nil {
		e.outage = new(outage)
		for _, s := range e.subchannels {
			s.waits = false // for its turn now
		}
	}
	o := e.outage
	o.flapped = false
	if s.forRPC && (o.sinceUp == 0 || s.dialled.After(o.failed)) {
		o.failed = s.dialled
	}
	if o.probe == nil {
		o.probe = s
	}
	if o.probe != s {
		if s.forRPC {
			o.sinceUp = max(1, o.sinceUp)
		}
		return false
	}
	o.failures++
	if s.forRPC {
		o.sinceUp++
	}
	for _, s := range e.subchannels { // connections from before the failure prove nothing
		if s.Connected() {
			s.conn.afterFailure = false
		}
	}
	return true
}

// startAttempts dials what may be dialled now, most subchannels at most.
func (e *Endpoint) startAttempts(most int) {
	e.retryForRPCs()
	if e.outage == nil {
		for s := range e.in(Idle) {
			if most == 0 {
				e.next.MoreDials = true
				s.wait(e.clock.now)
				continue
			}
			e.dial(s)
			most--
		}
		return
	}
	// What began before the first failure does not count: such an attempt may hang, and
	// would hold up all that come after it for as long.
	if a := e.outage.attempt; a != nil && a.phase == Connecting {
		return
	}
	switch s := e.nextAttempt(); {
	case s == nil || s.phase != Idle:
	case most == 0:
		e.next.MoreDials = true
		s.wait(e.clock.now)
	default:
		e.dial(s)
		e.outage.attempt = s
	}
}

// nextAttempt returns what may be dialled during an outage: a subchannel that may redial,
// else the probe when its backoff is over. A probe in Backoff waits for gRPC; one that is
// connected has yet to prove itself.
func (e *Endpoint) nextAttempt() *Subchannel {
	o := e.outage
	if i := slices.IndexFunc(e.subchannels, func(s *Subchannel) bool { return s.phase == Idle && s.mayRedial }); i >= 0 {
		return e.subchannels[i]
	}
	if !e.clock.reached(o.noneUntil) {
		return nil
	}
	if o.probe == nil {
		if i := slices.IndexFunc(e.subchannels, func(s *Subchannel) bool { return s.phase == Idle }); i >= 0 {
			o.probe = e.subchannels[i]
		}
	}
	return o.probe
}

// endOutage ends it when a connection made since the last failure has proved itself, or when
// all have and nothing is left to attempt. The server is back, so what backs off makes place for a subchannel that
// dials at once, for gRPC ends no backoff of a SubConn: if its attempt began before that of the connection. Each is
// replaced once only, or a server that takes no more connections would be dialled each time that it takes one.
func (e *Endpoint) endOutage() {
	if e.outage == nil {
		return
	}
	proven, back := 0, time.Time{}
	for _, s := range e.subchannels {
		if s.InService() && e.clock.reached(s.conn.provenAt(e.settings)) {
			proven++
			if s.conn.afterFailure && s.dialled.After(back) {
				back = s.dialled
			}
		}
	}
	if back.IsZero() && (proven == 0 || proven < len(e.subchannels)) {
		return
	}
	e.outage = nil
	for _, s := range slices.Collect(e.in(Backoff)) {
		if s.dialled.Before(back) && !s.instead {
			e.discard(s)
			e.add(s.openedFor).instead = true
		}
	}
}

// countAnew says that a connection was made or lost: attempts that have failed before fail no RPC.
func (e *Endpoint) countAnew() {
	if e.outage != nil {
		e.outage.sinceUp = 0
	}
}

// roundFailed reports that the endpoint has no READY subchannel and none in prospect: all attempts
// failed or led to a server that does not serve, or the probe failed twice while other attempts hang. A
// connection that was made and soon lost is none of these.
func (e *Endpoint) roundFailed() bool {
	if e.has(Ready) {
		return false
	}
	sinceUp := 0
	if e.outage != nil {
		sinceUp = e.outage.sinceUp
	}
	return sinceUp > 1 || (sinceUp > 0 || e.has(NotServing)) && !e.pending()
}
