package lifecycle

import (
	"slices"
	"time"
)

// ID is the number of a subchannel in its channel, in the order in which they were made.
type ID int

// Phase is where a subchannel stands in its life.
type Phase uint8

// The phases of a subchannel. See [Subchannel] for the ways between them.
const (
	Idle       Phase = iota // neither connected nor connecting
	Connecting              // an attempt is under way
	Backoff                 // the attempt failed, gRPC's backoff runs
	Checking                // connected; its health is not known yet
	NotServing              // connected; the server says that it does not serve
	Ready                   // connected and healthy
	Draining                // retired, finishes the RPCs in flight
	Closed                  // its SubConns are to be shut down
	Phases                  // how many there are
)

func (p Phase) String() string {
	return [Phases]string{"idle", "connecting", "backoff", "checking", "not_serving", "ready", "draining", "closed"}[p]
}

// A Subchannel is one duplicate of its endpoint.
//
//	Idle:                        dial ─▶ Connecting
//	Connecting:             connected ─▶ Checking
//	                           failed ─▶ Backoff
//	                             lost ─▶ Idle (gRPC skips READY where a connection ends at once)
//	Backoff:              backoffOver ─▶ Idle
//	Checking, NotServing,    healthIs ─▶ one of these three
//	Ready:                       lost ─▶ Idle
//	                           retire ─▶ Draining
//	Draining:           drained, lost ─▶ Closed (or after drainTimeout)
//	Idle, Connecting,          retire ─▶ Closed
//	Backoff:
//
// An event that does not fit the phase is late: it tells of an attempt or a connection that
// is no more, and changes nothing.
type Subchannel struct {
	id         ID
	phase      Phase
	openedFor  Reason        // of its connection, or of the next one
	recycle    bool          // it is to be replaced on request; until it dials again
	mayRedial  bool          // Idle: it may try once, be there an outage or not
	limitEnded bool          // the server ended the last connection at the request limit; while not Connected
	waits      bool          // Idle: it dials as soon as it is allowed to
	forRPC     bool          // the last attempt began while none was READY, and one was wanted; see Endpoint.Unwanted
	instead    bool          // it was made in place of one that backed off, and did not connect yet: see Endpoint.endOutage
	dialled    time.Time     // when the last attempt began; while it waits, since when it does
	attempt    happyEyeballs // the last one
	conn       *connection   // Checking, NotServing, Ready, Draining, and Closed of what drained; else nil
	tally      *tally        // of the endpoint
}

// A tally counts the subchannels of an endpoint by phase, so that what is asked in each plan is
// not counted anew.
type tally [Phases]int

func (t *tally) of(phases ...Phase) (n int) {
	for _, p := range phases {
		n += t[p]
	}
	return n
}

// A connection is what is known of one connection. It is dropped with it.
type connection struct {
	epoch        time.Time // see Endpoint.New
	since        time.Time
	lastUse      time.Time // to within a sample; to be made counts as use
	jitter       float64   // 0 to 1, drawn once: see lifetime
	afterFailure bool      // made after the endpoint's last failure
	suspectFor   Reason    // picked only if no other is READY: see Endpoint.suspect; ReasonStart is not suspect
	judged       record    // what it had done when the present interval began: see Endpoint.findOutlier
	refreshIdle  bool      // replaced when unused: see Endpoint.markRefreshIdle
	life         expiry    // see Endpoint.due
	facts        Facts     // as last observed
	limit        int       // the most streams that the server ever allowed here; -1 until it states a limit
	requests     requestUse
	drainingAt   time.Time // Draining: since when
	retiredFor   Reason    // Draining
}

// ID returns the number of the subchannel.
func (s *Subchannel) ID() ID { return s.id }

// Phase returns where the subchannel stands.
func (s *Subchannel) Phase() Phase { return s.phase }

// Connected reports whether the subchannel has a connection.
func (s *Subchannel) Connected() bool { return s.conn != nil }

// Since returns when the connection was made; zero if there is none.
func (s *Subchannel) Since() (at time.Time) {
	if s.conn != nil {
		at = s.conn.since
	}
	return at
}

// Pending reports that a connection may be READY soon: it is being made, or is about to be, or
// its health is not known yet.
func (s *Subchannel) Pending() bool {
	return s.phase == Connecting || s.phase == Checking || s.phase == Idle && s.waits
}

// wait says that s may not dial yet, for as many attempts have begun as may.
func (s *Subchannel) wait(now time.Time) {
	if !s.waits {
		s.waits, s.dialled = true, now
	}
}

// Address returns the address of the connection.
func (s *Subchannel) Address() int { return s.attempt.connected }

// InService reports whether the connection is in service: connected and not retired.
func (s *Subchannel) InService() bool {
	return s.phase == Checking || s.phase == NotServing || s.phase == Ready
}

// well reports that the subchannel is READY, and that nothing is held against it.
func (s *Subchannel) well() bool { return s.phase == Ready && !s.conn.suspect() && !s.recycle }

func (s *Subchannel) dial(addresses int, now time.Time) bool {
	if !s.move(Connecting, Idle) {
		return false
	}
	s.mayRedial, s.recycle, s.waits, s.dialled = false, false, false, now
	s.attempt.begin(addresses)
	return true
}

func (s *Subchannel) failed() bool      { return s.move(Backoff, Connecting) }
func (s *Subchannel) backoffOver() bool { return s.move(Idle, Backoff) }

// connected starts a connection.
func (s *Subchannel) connected(now, epoch time.Time, jitter float64) bool {
	if !s.move(Checking, Connecting) {
		return false
	}
	s.conn = &connection{epoch: epoch, since: now, lastUse: now, jitter: jitter, afterFailure: true, limit: -1, facts: Facts{Limit: NoLimit}}
	s.instead = false
	return true
}

// healthIs takes what is known of the health.
func (s *Subchannel) healthIs(h Health) bool {
	return s.move([...]Phase{HealthUnknown: Checking, HealthServing: Ready, HealthNotServing: NotServing}[h], Checking, NotServing, Ready)
}

// lost ends a connection, or an attempt that was lost as soon as it succeeded: gRPC then
// skips READY.
func (s *Subchannel) lost() bool {
	if !s.move(Closed, Draining) && !s.move(Idle, Checking, NotServing, Ready, Connecting) {
		return false
	}
	s.conn = nil
	return true
}

// retire takes the subchannel out of service: at once, or if it is connected once its RPCs
// have ended.
func (s *Subchannel) retire() bool {
	return s.move(Draining, Checking, NotServing, Ready) || s.move(Closed, Idle, Connecting, Backoff)
}

func (s *Subchannel) drained() bool { return s.move(Closed, Draining) }

// move reports whether the phase is another one now.
func (s *Subchannel) move(to Phase, from ...Phase) bool {
	if s.phase == to || !slices.Contains(from, s.phase) {
		return false
	}
	if s.tally != nil {
		s.tally[s.phase]--
		s.tally[to]++
	}
	s.phase = to
	return true
}
