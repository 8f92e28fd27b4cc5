package balancer

import (
	"time"

	"github.com/grpc-subpool/subpool/config"
)

// A reason is why a connection was opened, or why it left service. One that takes
// another's place was opened for what that one left for.
type reason uint8

const (
	forStart     reason = iota // minSize asks for it, or it is the first
	forGrowth                  // demand does
	forIdle                    // it was silent
	forAge                     // its life has ended
	forSilence                 // it answered nothing
	forRequests                // it has carried as many RPCs as the server takes on one
	forRecycle                 // somebody asked for it
	forShrinking               // one more than are wanted
	forSettings                // one more than maxSize allows now
	forRemoval                 // the resolver gives the endpoint no more
	forLoss                    // it was lost
	reasons
)

func (r reason) String() string {
	return [...]string{"start", "growth", "idle", "max_lifetime", "unresponsive", "requests", "recycle",
		"shrink", "settings", "endpoint_removed", "lost"}[r]
}

// renews says that the old connection stays until the new one is there.
func (r reason) renews() bool { return r >= forIdle && r <= forRecycle }

// renews says that s is made to take the place of a connection that is still there.
func (s *slot) renews() bool { return s.why.renews() && !s.worn }

// retires says that connections leave for it.
func (r reason) retires() bool { return r >= forIdle }

// A tally counts what happened to an endpoint since the shell last looked.
type tally struct {
	opened, went   [reasons]int // connections
	failed         int          // attempts
	renewalsFailed int          // of these
	grown          int          // slots that demand called for
}

// dueFor is why a slot that is due should be replaced.
func (s *slot) dueFor(cfg *config.Config, now time.Time) reason {
	end, ends := s.lifeEnds(cfg)
	switch {
	case s.doubted:
		return forSilence
	case s.spent():
		return forRequests
	case s.stale:
		return forRecycle
	case ends && !now.Before(end):
		return forAge
	}
	return forIdle
}

// resize takes the size of this plan. Up to base slots are opened to start, more for
// growth.
func (e *endpoint) resize(size int) (base int) {
	was := e.was
	e.was, e.shed, base = size, max(0, was-size), max(was, e.cfg.MinSize, 1)
	switch {
	case e.removed:
		e.surplus = forRemoval
	case was > e.cfg.MaxSize:
		e.surplus = forSettings
	default:
		e.surplus = forShrinking
	}
	if size != was {
		e.grown += max(0, size-base)
		e.noteSize(was, size, base)
	}
	return base
}

// whyLeaves takes first what fewer are wanted by: a shrinking pool has slots that
// nobody uses, and these would soon be due.
func (e *endpoint) whyLeaves(s *slot, now time.Time) reason {
	if e.shed > 0 {
		e.shed--
	} else if e.size() > 0 && s.due(e.cfg, now) {
		return s.dueFor(e.cfg, now)
	}
	return e.surplus
}

// vacancy is why one more slot is opened: those above size are for those that are due.
func (e *endpoint) vacancy(size, base int, now time.Time) reason {
	n := len(e.slots)
	switch {
	case n < min(base, size):
		return forStart
	case n < size:
		return forGrowth
	}
	for _, s := range e.slots {
		if s.due(e.cfg, now) {
			if n == size {
				return s.dueFor(e.cfg, now)
			}
			n--
		}
	}
	return forStart
}

// lose says why the connection of s is gone.
func (e *endpoint) lose(s *slot, now time.Time) {
	how := "lost its connection"
	s.why = forLoss
	if s.worn {
		how, s.why = "has carried as many RPCs as the server takes", forRequests
	}
	e.went[s.why]++
	e.note("lost", "subchannel %d %s, after %v%s", s.order, how, ago(s.since, now), s.ended)
}

// inherit looks after successors whose predecessor was lost before they connected:
// they are what takes the lost one's place.
func (e *endpoint) inherit(size int) {
	successors := len(e.slots) - size
	for _, s := range e.slots {
		if s.connected() || !s.renews() {
			continue
		}
		if successors--; successors < 0 {
			s.why = forLoss
		}
	}
}

// recycle makes every connection that there is now, or that is being made, due.
func (e *endpoint) recycle() int {
	for _, s := range e.slots {
		s.stale = true
	}
	return e.count(checking, ready)
}
