package lifecycle

// A Reason is why a connection was opened, or why it left service. One that replaces
// another was opened for what that one left for.
type Reason uint8

// The reasons. Those before ReasonIdle only open, ReasonShrink to ReasonRemoved only end; all
// others do both.
const (
	ReasonStart        Reason = iota // minSize calls for it, or it is the first
	ReasonGrowth                     // demand does
	ReasonIdle                       // it was to be replaced before it was unused for idleTimeout
	ReasonMaxLifetime                // it reached its age
	ReasonUnresponsive               // it answered nothing
	ReasonOutlier                    // it failed far more RPCs than its siblings
	ReasonRequests                   // it carried as many RPCs as the server takes on one, which is proven
	ReasonRecycle                    // Recycle was called
	ReasonShrink                     // it is one more than the demand calls for
	ReasonSettings                   // it is one more than maxSize allows now
	ReasonRemoved                    // the resolver does not list the endpoint any more
	ReasonLost                       // the connection ended
	Reasons                          // how many there are
)

func (r Reason) String() string {
	return [Reasons]string{"start", "growth", "idle", "max_lifetime", "unresponsive", "outlier", "requests", "recycle",
		"shrink", "settings", "endpoint_removed", "lost"}[r]
}

// Retires says that connections leave service for it.
func (r Reason) Retires() bool { return r >= ReasonIdle }

// renews says that the old connection stays in service until the new one is READY.
func (r Reason) renews() bool { return r >= ReasonIdle && r <= ReasonRecycle }

// renewal reports whether s is made to replace a connection that is still there.
func (s *Subchannel) renewal() bool { return s.openedFor.renews() && !s.limitEnded }

// replacedFor is why a subchannel that is due should be replaced.
func (e *Endpoint) replacedFor(s *Subchannel) Reason {
	end, ends := s.conn.endOfLife(e.settings)
	switch {
	case s.conn.suspect():
		return s.conn.suspectFor
	case e.usedUp(s.conn):
		return ReasonRequests
	case s.recycle:
		return ReasonRecycle
	case ends && !e.clock.now.Before(end):
		return ReasonMaxLifetime
	}
	return ReasonIdle
}

// retireReason is why s leaves. The subchannels by which the endpoint shrinks come first: a
// pool that shrinks has unused ones, and these would soon be due.
func (e *Endpoint) retireReason(s *Subchannel) Reason {
	if e.sizing.shrinkBy > 0 {
		e.sizing.shrinkBy--
	} else if e.Size() > 0 && e.due(s) {
		return e.replacedFor(s)
	}
	return e.sizing.surplus
}

// openReason is why one more subchannel is made. Those above size replace those that are due.
func (e *Endpoint) openReason(size, base int) Reason {
	n := len(e.subchannels)
	switch {
	case n < min(base, size):
		return ReasonStart
	case n < size:
		return ReasonGrowth
	}
	for _, s := range e.subchannels {
		if e.due(s) {
			if n == size {
				return e.replacedFor(s)
			}
			n--
		}
	}
	return ReasonLost // beside an attempt
}

// reassignReasons looks at subchannels whose predecessor was lost before they connected:
// they replace what was lost, and are no renewals.
func (e *Endpoint) reassignReasons(size int) {
	extra := len(e.subchannels) - size
	for _, s := range e.subchannels {
		if s.Connected() || !s.renewal() {
			continue
		}
		if extra--; extra < 0 {
			s.openedFor = ReasonLost
		}
	}
}
