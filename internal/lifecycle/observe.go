package lifecycle

import (
	"fmt"
	"time"
)

// Health is what is known of the health of a connection.
type Health uint8

// The states of health.
const (
	HealthUnknown Health = iota
	HealthServing        // the server says so, or health checking is off
	HealthNotServing
)

// Facts are what the shell sees of one connection.
type Facts struct {
	InFlight      int    // RPCs
	Started       uint32 // RPCs that ever had a stream, modulo 2³²
	Failed        uint32 // RPCs that ended in a way in which a server in trouble ends them, modulo 2³²
	Answered      bool   // the server answered an RPC, or said that it took one
	Health        Health
	Limit         int  // streams that the server allows at a time; NoLimit
	LimitStated   bool // the server has said so
	HealthStream  bool // health checking holds one of them
	Unanswered    bool // since it was last observed, RPCs ended at their deadlines, UnresponsiveTimeout apart, and no byte came between
	RequestsUsed  bool // as many RPCs have started as RequestLimit allows
	GoAway        bool // the server said GOAWAY
	Drained       bool // it takes no RPC any more, and carries none
	ForceClosable bool // the transport can be closed without gRPC
}

// Observe takes what is seen of a connection. Where there is none it does nothing.
func (e *Endpoint) Observe(s *Subchannel, f Facts, now time.Time) {
	c := s.conn
	if c == nil {
		return
	}
	before := c.facts
	c.facts = f
	if f.LimitStated {
		// The first limit that is stated is the server's, however late: a proxy may have
		// sent its own SETTINGS before.
		c.limit = max(c.limit, f.Limit)
	}
	used := f.InFlight > 0 || s.InService() && f.Started != before.Started
	if used {
		c.lastUse = now
	}
	if f.Started != before.Started {
		c.requests.startedAt = now
	}
	if !s.InService() {
		return
	}
	e.demand.used = e.demand.used || used
	e.observeHealth(s, f.Health)
	if f.Unanswered {
		e.suspect(s, ReasonUnresponsive, fmt.Sprintf("has answered nothing for %v", e.settings.UnresponsiveTimeout), now)
	}
}

func (e *Endpoint) observeHealth(s *Subchannel, h Health) {
	s.healthIs(h)
	switch h {
	case HealthUnknown:
	case HealthNotServing:
		e.clearSuspicion() // it may be the successor
	case HealthServing:
		e.down = false
	}
}

// StreamLimit returns how many RPCs may be in flight on the connection, 0 or more; NoLimit.
func (s *Subchannel) StreamLimit() int {
	if s.conn == nil {
		return NoLimit
	}
	return s.conn.usable(s.conn.facts.Limit)
}

// usable returns how many RPCs may be in flight where the server allows that many streams.
// The last one is not given up for health checking: a server that does not know it ends its
// stream, and gRPC does not tell that.
func (c *connection) usable(limit int) int {
	if c.facts.HealthStream && limit > 1 && limit != NoLimit {
		return limit - 1
	}
	return limit
}
