package lifecycle

import (
	"slices"
	"time"
)

// demand is the RPCs in flight of an endpoint, now and of late.
type demand struct {
	window window
	epoch  time.Time // parts of the window are counted from it
	now    int       // when it was last sampled
	used   bool      // since then connections carried RPCs, or started some
}

// samples is into how many parts idleTimeout is divided: a sample is taken in each.
const samples = 16

// A window remembers the largest value of the last idleTimeout, and up to a part longer. The
// endpoint shrinks by that peak and never by one instant, so that a load that saws faster
// than idleTimeout causes no churn.
type window struct {
	peaks [samples + 1]int // by part; the present one is first
	next  time.Time        // when the next part begins
}

// observe takes a sample. Parts are counted from epoch, which all endpoints of a channel share:
// so they end together, and the channel looks once for all. Where idleTimeout is 0 the window
// has no end.
func (w *window) observe(value int, idleTimeout time.Duration, now, epoch time.Time) {
	part := idleTimeout / samples
	switch {
	case idleTimeout == 0:
		w.next = time.Time{}
	case w.next.IsZero() || w.next.After(now.Add(part)): // the timeout is new, or shorter than it was
		w.next = epoch.Add(now.Sub(epoch).Truncate(part) + part)
	case !now.Before(w.next):
		n := int(min(1+now.Sub(w.next)/part, samples+1))
		copy(w.peaks[n:], w.peaks[:])
		clear(w.peaks[:n])
		w.next = epoch.Add(now.Sub(epoch).Truncate(part) + part)
	}
	w.peaks[0] = max(w.peaks[0], value)
}

// clip lowers all that is more than value to it.
func (w *window) clip(value int) {
	for i := range w.peaks {
		w.peaks[i] = min(w.peaks[i], value)
	}
}

func (w *window) peak() int { return slices.Max(w.peaks[:]) }

// Sample takes what the connections were observed to carry as the demand. waiting is how
// many RPCs wait outside for one of them.
func (e *Endpoint) Sample(waiting int, now time.Time) {
	e.learnStreamLimit(now)
	d := waiting
	for s := range e.inService() {
		d += s.conn.facts.InFlight
	}
	// RPCs may begin and end between two samples, or wait for the first connection. To redial
	// a lost connection is not demand.
	if e.demand.used || !e.has(Ready) && slices.ContainsFunc(e.subchannels, func(s *Subchannel) bool {
		return s.phase == Connecting && s.openedFor == ReasonStart
	}) {
		d = max(d, 1)
	}
	if e.streamLimit.allZero { // more connections would not carry it either
		d = min(d, e.demand.window.peak())
	}
	e.demand.window.observe(d, e.settings.IdleTimeout, now, e.demand.epoch)
	e.sizing.previous.observe(0, e.settings.IdleTimeout, now, e.demand.epoch)
	e.demand.now, e.demand.used = d, false
}

// Used reports whether there was demand within the last idleTimeout.
func (e *Endpoint) Used() bool { return e.demand.window.peak() > 0 }

// lostUnused forgets demand of old when a connection is lost that carried nothing: servers
// end idle ones, and it is made again only where too few are left.
func (e *Endpoint) lostUnused() {
	w := &e.demand.window
	called := sizeFor(e.settings, max(w.peaks[0], w.peaks[1]), e.streamLimit.perConnection)
	n := max(called, e.countInService())
	if most := growsFrom(e.settings, n, e.streamLimit.perConnection); most > 0 {
		w.clip(most - 1)
	}
	e.sizing.previous.clip(n)
}
