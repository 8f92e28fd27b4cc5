package balancer

import (
	"slices"
	"time"
)

// phase is where a slot stands in its life.
type phase uint8

const (
	idle     phase = iota // not connected, not trying
	dialing               // an attempt is under way
	resting               // the attempt failed, gRPC's backoff runs
	checking              // connected; its health is not known, or not good
	ready                 // connected and healthy
	draining              // retired, finishing the RPCs it has
	closed
)

func (p phase) String() string {
	return [...]string{"idle", "connecting", "backoff", "checking", "ready", "draining", "closed"}[p]
}

// A slot is one duplicate of its endpoint: the life of one SubConn, as a pure
// state machine.
//
//	       dial          up            healthy         retire          emptied,
//	idle ────────▶ dialing ───▶ checking ──────▶ ready ──────▶ draining ─────▶ closed
//	 ▲ ▲            │  │          │  ▲  ◀────────  │             ▲     down     ▲
//	 │ │ rest       │  │ fail     │  │   unwell    │             │              │
//	 │ └─ resting ◀─┼──┘          │  └─────────────┼─────────────┘              │
//	 │              │ down        │ down      down │  retire     retire, idle   │
//	 └──────────────┴─────────────┴────────────────┘             and resting ───┘
//	                                                             and dialing
//
// An event that does not fit the phase is late news of an attempt or connection
// that is no more, and changes nothing.
type slot struct {
	phase  phase
	order  int       // position among all slots of the pool, by age
	since  time.Time // start of the connection, while there is one
	used   time.Time // last seen in use; the start counts as use
	runs   uint32    // RPCs started when it was last looked at
	draw   float64   // 0 to 1, drawn at the connection's birth: see lifeOf
	unwell bool      // the server says that it does not serve
	race   race      // for the connection
	fresh  bool      // connected after the endpoint's last failure
	eager  bool      // lost a proven connection: may dial once, backoff or not
	why    reason    // its connection was opened, or will be
	keeps  bool      // it is replaced when it is silent: see endpoint.keep
	stale  bool      // is to be replaced, for somebody asked for it: see endpoint.recycle

	limit    int       // streams that the server allows on the connection
	planned  int       // the most that it ever did there, below 0 if it has not said
	watched  bool      // health checking holds one of them
	doubted  bool      // answers nothing: see endpoint.suspect
	served   bool      // the server answered an RPC on the connection, or said that it took one
	ended    string    // how the server said that it ended the last one
	spentAt  time.Time // when it was seen to have carried what it may: see requestCap; or zero
	worn     bool      // the server ended the last one for that it carried these
	dialled  time.Time // when the last attempt began
	cuttable bool      // the connection can be closed by force
	left     time.Time // when it began to drain
	went     reason    // and why
	cutOff   bool      // and did not end in time

	sub subchannel // the shell's; the pure rooms never look at it
}

// dial starts an attempt at that many addresses.
func (s *slot) dial(addresses int, now time.Time) bool {
	if !s.move(dialing, idle) {
		return false
	}
	s.eager, s.stale, s.dialled = false, false, now
	s.race.begin(addresses)
	return true
}
func (s *slot) fail() bool { return s.move(resting, dialing) }
func (s *slot) rest() bool { return s.move(idle, resting) }

// up starts a connection, whose share of the jitter is draw.
func (s *slot) up(now time.Time, draw float64) bool {
	if !s.move(checking, dialing) {
		return false
	}
	s.unwell, s.doubted, s.watched, s.fresh = false, false, false, true
	s.limit, s.planned = noLimit, -1
	s.since, s.used, s.runs, s.draw = now, now, 0, draw
	s.served, s.worn, s.spentAt = false, false, time.Time{}
	return true
}

// connected reports whether the slot has a connection that it may serve by.
func (s *slot) connected() bool { return s.phase == checking || s.phase == ready }

// well reports that s serves, and that nothing is held against it.
func (s *slot) well() bool { return s.phase == ready && !s.doubted && !s.stale }

// allow reports the server's stream limit. The first that it states is its limit, however
// late it does; a proxy may have greeted in its place.
func (s *slot) allow(limit int, stated, watched bool) (changed bool) {
	changed = limit != s.limit || watched != s.watched
	s.limit, s.watched = limit, watched
	if stated {
		s.planned = max(s.planned, limit)
	}
	return changed
}

// places returns how many RPCs may be in flight where the server allows that many
// streams. One that is left is not given up for the health checking: a server that
// does not know it ends its stream, and gRPC does not tell that.
func (s *slot) places(limit int) int {
	if s.watched && limit > 1 && limit != noLimit {
		return limit - 1
	}
	return limit
}

// healthy says that the connection can serve.
func (s *slot) healthy() bool {
	if s.connected() {
		s.unwell = false
	}
	return s.move(ready, checking)
}

// ail says that it cannot, or that nobody knows.
func (s *slot) ail(unwell bool) bool {
	if !s.connected() || s.phase == checking && s.unwell == unwell {
		return false
	}
	s.phase, s.unwell = checking, unwell
	return true
}

// down ends a connection, or an attempt that was lost as soon as it succeeded:
// gRPC then skips READY.
func (s *slot) down() bool {
	return s.move(closed, draining) || s.move(idle, checking, ready, dialing)
}

// retire takes the slot out of service: at once, or if it is connected once its
// RPCs have ended.
func (s *slot) retire() bool {
	return s.move(draining, checking, ready) || s.move(closed, idle, dialing, resting)
}

func (s *slot) emptied() bool { return s.move(closed, draining) }

func (s *slot) move(to phase, from ...phase) bool {
	fits := slices.Contains(from, s.phase)
	if fits {
		s.phase = to
	}
	return fits
}
