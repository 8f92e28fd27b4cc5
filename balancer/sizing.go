package balancer

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/h2conn"
)

// headroom is how much more than the demand a pool is made to carry, so that it
// grows before it is full.
const headroom = 1.25

// sizeFor returns how many subchannels demand RPCs in flight call for. limit is
// the server's own limit of streams per connection; a limit of 0 is no reason to
// grow.
func sizeFor(cfg *config.Config, demand, limit int) int {
	wanted := min(demand, 1) // of which one RPC never wants more
	if perSubchannel := min(cfg.TargetStreams, limit); perSubchannel > 0 && demand > 1 {
		wanted = int(math.Ceil(headroom * float64(demand) / float64(perSubchannel)))
	}
	return min(max(wanted, cfg.MinSize), cfg.MaxSize)
}

// outgrows returns the smallest demand that calls for more than size
// subchannels, or 0 if none does.
func outgrows(cfg *config.Config, size, limit int) int {
	perSubchannel := min(cfg.TargetStreams, limit)
	if size >= cfg.MaxSize || perSubchannel == 0 {
		return 0
	}
	return max(min(size, 1), int(float64(size)*float64(perSubchannel)/headroom)) + 1
}

// samples is into how many parts idleTimeout is cut: a sample is taken in each.
const samples = 16

// A window remembers the largest demand of the last idleTimeout, and up to a part
// longer. The pool shrinks by that peak and never by one instant, so that a load
// that saws faster than idleTimeout causes no churn.
type window struct {
	peaks [samples + 1]int // by part; the present one is first
	next  time.Time        // when the next part begins
}

// observe takes a sample. Where idleTimeout is 0 the window has no end.
func (w *window) observe(demand int, idleTimeout time.Duration, now time.Time) {
	part := idleTimeout / samples
	switch {
	case idleTimeout == 0:
		w.next = time.Time{}
	case w.next.IsZero() || w.next.After(now.Add(part)):
		w.next = now.Add(part) // the timeout is new, or shorter than it was
	case !now.Before(w.next):
		n := int(min(1+now.Sub(w.next)/part, samples+1))
		copy(w.peaks[n:], w.peaks[:])
		clear(w.peaks[:n])
		w.next = now.Add(part)
	}
	w.peaks[0] = max(w.peaks[0], demand)
}

// clip takes what was more for as much.
func (w *window) clip(demand int) {
	for i := range w.peaks {
		w.peaks[i] = min(w.peaks[i], demand)
	}
}

// peak returns the largest demand in the window.
func (w *window) peak() int { return slices.Max(w.peaks[:]) }

// noLimit stands for the stream limit of a server that has none, or of which none
// is known.
const noLimit = h2conn.NoLimit

// size returns how many slots should serve.
func (e *endpoint) size() int {
	if e.removed {
		return 0
	}
	n := max(sizeFor(e.cfg, e.window.peak(), e.limit), e.kept.peak())
	if n == 0 && e.awake {
		return 1
	}
	return n
}

// adopt takes settings. These close nothing by themselves: what is too much by
// them goes when a window has passed.
func (e *endpoint) adopt(cfg *config.Config, now time.Time) {
	old := e.cfg
	size := e.size()
	e.cfg = cfg
	if old.MinSize == cfg.MinSize && old.MaxSize == cfg.MaxSize && old.TargetStreams == cfg.TargetStreams && old.IdleTimeout == cfg.IdleTimeout {
		return
	}
	e.kept = window{}
	e.kept.observe(min(size, cfg.MaxSize), cfg.IdleTimeout, now)
}

// lostUnused forgets demand of old when a connection is lost that carried nothing: servers
// end idle ones, and it is made again only where the others are too few.
func (e *endpoint) lostUnused() {
	called := sizeFor(e.cfg, max(e.window.peaks[0], e.window.peaks[1]), e.limit)
	n := max(called, e.count(checking, ready))
	if most := outgrows(e.cfg, n, e.limit); most > 0 {
		e.window.clip(most - 1)
	}
	e.kept.clip(n)
}

// keep says which slots are replaced when they are silent: those that would stay if the
// endpoint shrank to what the present part of the window calls for. The others will be
// closed when the window has passed.
func (e *endpoint) keep() {
	size, called := e.size(), e.called()
	if e.awake && e.window.peak() == 0 {
		called = max(called, 1) // that one stays for as long as other endpoints are used
	}
	for _, s := range e.slots {
		s.keeps = true
	}
	connected := slices.Collect(e.connected())
	// One whose successor has come stays among them, so that it is the one to leave.
	n := called + max(0, len(connected)-size)
	if size <= called || n >= len(connected) {
		return
	}
	slices.SortStableFunc(connected, func(a, b *slot) int {
		return cmp.Or(first(a.well(), b.well()), e.expiresFirst(b, a))
	})
	for _, s := range connected[n:] {
		s.keeps = false
	}
}

// called returns the size that the present part of the window calls for.
func (e *endpoint) called() int { return sizeFor(e.cfg, e.window.peaks[0], e.limit) }

// learn takes the server's limit for sizing from what its connections were allowed:
// the smallest of them, but for those that carry nothing now. One that the server
// lowers counts as before, for that is no reason to send it more connections.
func (e *endpoint) learn(now time.Time) {
	least, connected := noLimit, false
	e.barred = true
	for s := range e.connected() {
		connected = true
		if s.places(s.limit) > 0 {
			e.barred = false
			if s.planned >= 0 {
				least = min(least, s.places(s.planned))
			}
		}
	}
	e.barred = e.barred && connected
	if connected && !e.barred {
		e.limit = least
	}
	e.noteLimit(now)
}

// holds reports whether RPCs that find every connection full should wait outside:
// another is on its way, or will be as soon as somebody asks. Where no limit is
// known none is ever full.
func (e *endpoint) holds(now time.Time) bool {
	limited := e.limit != noLimit
	return !e.removed && (limited && e.grows() || (limited || e.requests.most > 0) && e.dials(now))
}

// longestHold bounds how long RPCs are held for a dial. After that they wait in the
// connections that are full, under maxPending.
const longestHold = time.Second

// dials reports whether all connections that are being made may soon be there, and there
// are any. One that takes another's place brings no room, but where that is spent.
func (e *endpoint) dials(now time.Time) (any bool) {
	for _, s := range e.slots {
		if !s.onItsWay() || s.renews() && s.why != forRequests {
			continue
		}
		if any = true; !now.Before(s.dialled.Add(longestHold)) {
			return false
		}
	}
	return any && e.failures == 0
}

// grows reports whether one RPC more than there are places makes the endpoint grow.
func (e *endpoint) grows() bool {
	most := outgrows(e.cfg, e.size(), e.limit)
	places := 0
	for s := range e.those(ready) {
		places += s.places(s.limit)
	}
	return most > 0 && places+1 >= most && !e.barred && e.failures == 0 && !e.has(resting)
}

// sample looks at what the connections carry; load tells. held is how many RPCs
// wait outside for one of them.
func (e *endpoint) sample(now time.Time, held int, load func(*slot) (inFlight int, starts uint32)) {
	demand, used := held, false
	for s := range e.connected() {
		inFlight, starts := load(s)
		if inFlight > 0 || starts != s.runs {
			s.used, s.runs, used = now, starts, true
		}
		demand += inFlight
	}
	// RPCs may begin and end between two looks, or wait for the first connection. To make
	// one that was lost again is not their wish.
	if used || !e.has(ready) && slices.ContainsFunc(e.slots, func(s *slot) bool { return s.phase == dialing && s.why == forStart }) {
		demand = max(demand, 1)
	}
	if e.barred { // more connections would not carry it either
		demand = min(demand, e.window.peak())
	}
	e.window.observe(demand, e.cfg.IdleTimeout, now)
	e.kept.observe(0, e.cfg.IdleTimeout, now)
	e.demand = demand
}

// margin returns how many more RPCs in flight on one slot may matter, 0 if no
// number does: because the endpoint should grow, or because the window has not
// seen as many yet. While no slot gets so many more, all of them together do not
// get enough.
func (e *endpoint) margin() int {
	serving, most := e.count(ready), outgrows(e.cfg, e.called(), e.limit)
	if e.removed || serving == 0 || most == 0 {
		return 0
	}
	return max(1, (most-e.demand+serving-1)/serving)
}
