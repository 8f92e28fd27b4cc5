package balancer

import (
	"iter"
	"slices"
	"time"

	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"

	"github.com/grpc-subpool/subpool/config"
)

// An endpoint is the duplicates of one server address, as a pure state machine:
// how many there are against how many there should be, and which of them may
// dial. Events report what happened; plan compares the facts and says what to do
// next, so an event that is late, repeated or out of turn does no harm.
type endpoint struct {
	cfg     *config.Config
	removed bool    // by the resolver: only waits for its RPCs to end
	slots   []*slot // in service or on their way there, oldest first
	leaving []*slot // draining
	retired []*slot // draining since the last plan
	gone    []*slot // closed since the last plan
	won     []*slot // connected since the last plan

	limit  int       // RPCs per connection that the server allows, for sizing
	allows int       // streams that it allows now, on the connection that has the fewest
	heard  bool      // it has said so
	quiet  time.Time // the next change of that is told then at the soonest
	barred bool      // it allows none on any of them
	window window    // of demand
	kept   window    // of sizes that other settings wanted
	demand int       // when it was last sampled
	awake  bool      // somebody used the pool of late: with minSize 0 one slot stays
	was    int       // the size of the last plan
	tally
	shed    int    // slots that leave for it in this plan
	surplus reason // why they do
	urged   int    // retired though as many drain as may: see urgent
	notes   []note // since the shell last looked
	attempts
	requests requestCap
	nextCase time.Time // no slot is suspected before
	caseGap  time.Duration
	down     bool // a whole round failed, and none is ready since (gRFC A62)

	addresses int // how many alternatives there are
	newSlot   func() *slot
	random    func() float64 // 0 to 1
}

// effects is what plan wants done, in this order.
type effects struct {
	dial    []dial  // connect
	drain   []*slot // unpublish, then shut down when empty
	won     []*slot // shut down what lost the race
	shut    []*slot // shut down
	resolve bool    // ask the resolver for news
}

// dial is the start of one lane.
type dial struct {
	*slot
	lane int
}

func (fx *effects) add(more effects) {
	fx.dial = append(fx.dial, more.dial...)
	fx.drain = append(fx.drain, more.drain...)
	fx.won = append(fx.won, more.won...)
	fx.shut = append(fx.shut, more.shut...)
	fx.resolve = fx.resolve || more.resolve
}

func (fx *effects) none() bool { return len(fx.dial)+len(fx.drain)+len(fx.shut) == 0 }

// plan says what to do now. It wants size slots, and one more for each due one
// that the budget allows to be replaced; when more than size are ready, the due
// ones leave. No slot is any other's successor: whichever connects first serves,
// so nothing is ever closed for a successor that did not come.
func (e *endpoint) plan(now time.Time) (do effects) {
	size := e.size()
	base := e.resize(size)
	e.keep()
	e.cutOff(now)
	e.retireSurplus(now)

	for len(e.slots) > size+e.renewals(now) { // discarding a due one leaves fewer
		e.discard(e.leastUseful(), now)
	}
	e.inherit(size)
	// An endpoint that already drains a pool's worth starts no more renewals, but for one
	// at a time that cannot wait.
	renewals := min(e.renewals(now), max(e.urgent(), e.cfg.MaxSize-len(e.leaving)))
	for len(e.slots) < size+renewals {
		do.resolve = do.resolve || len(e.slots) >= size
		s := e.newSlot()
		s.why = e.vacancy(size, base, now)
		e.slots = append(e.slots, s)
	}
	e.elect(now)
	for s := range e.those(dialing) {
		if lane, ok := s.race.start(now); ok {
			do.dial = append(do.dial, dial{s, lane})
		}
	}
	switch {
	case size == 0: // when it wakes, old failures say nothing
		e.down, e.sinceUp = false, 0
	case e.roundFailed():
		e.down = true
	}
	do.drain, e.retired = e.retired, nil
	do.won, e.won = e.won, nil
	do.shut, e.gone = e.gone, nil
	return do
}

// deadline returns the next time at which plan may want something without any
// event, always after now; ok is false if there is none.
func (e *endpoint) deadline(now time.Time) (at time.Time, ok bool) {
	consider := func(t time.Time) {
		if t.After(now) && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	if e.failures > 0 {
		consider(e.retryAt)
		if e.removed {
			consider(e.retryAt.Add(backoff.DefaultConfig.MaxDelay))
		}
	}
	consider(e.quiet)
	for _, s := range e.leaving {
		if t, cut := s.cutAt(e.cfg); cut {
			consider(t)
		}
	}
	for _, s := range e.slots {
		if s.onItsWay() {
			consider(s.dialled.Add(longestHold))
		}
		if s.phase == dialing && s.race.started < len(s.race.lanes) {
			consider(s.race.nextAt)
		}
	}
	for s := range e.connected() {
		if t, expires := s.expiry(e.cfg, s.keeps); expires {
			consider(t)
		}
		if e.failures > 0 {
			consider(s.provenAt(e.cfg))
		}
		if s.spent() {
			consider(s.spentAt.Add(endsWithin))
		}
	}
	return at, ok
}

// forgotten reports that nothing is left of a removed endpoint. One that fails
// is remembered for gRPC's longest backoff: if the resolver gives it and takes
// it away in turn, each time must not begin with a full round of dials.
func (e *endpoint) forgotten(now time.Time) bool {
	return e.removed && len(e.slots)+len(e.leaving)+len(e.gone) == 0 &&
		(e.failures == 0 || !now.Before(e.retryAt.Add(backoff.DefaultConfig.MaxDelay)))
}

// state is the endpoint's part in the pool's connectivity state.
func (e *endpoint) state() connectivity.State {
	switch {
	case e.size() == 0:
		return connectivity.Idle
	case e.has(ready):
		return connectivity.Ready
	case e.down:
		return connectivity.TransientFailure
	}
	return connectivity.Connecting
}

// those goes through the slots that are in these phases.
func (e *endpoint) those(are ...phase) iter.Seq[*slot] {
	return func(yield func(*slot) bool) {
		for _, s := range e.slots {
			if slices.Contains(are, s.phase) && !yield(s) {
				return
			}
		}
	}
}

func (e *endpoint) connected() iter.Seq[*slot] { return e.those(checking, ready) }

func (e *endpoint) count(are ...phase) (n int) {
	for range e.those(are...) {
		n++
	}
	return n
}

func (e *endpoint) has(p phase) bool { return e.count(p) > 0 }

func without(slots []*slot, s *slot) []*slot {
	return slices.DeleteFunc(slots, func(o *slot) bool { return o == s })
}
