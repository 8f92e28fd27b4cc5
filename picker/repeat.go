package picker

import (
	"sync/atomic"

	"google.golang.org/grpc/balancer"
)

// What a GOAWAY ends before the server took it, gRPC repeats by itself: an RPC that was
// refused, one that waited for a stream. But it does so once. If the second attempt meets a
// connection that is about to say GOAWAY too, for a server that restarts says it on all
// of them, the RPC fails. In a plain channel it waits for a new connection; so it does here,
// and all other RPCs go on.
//
//	Done, of an RPC that a GOAWAY ended ───▶ Gate.repeats + 2
//
//	Pick ─▶ repeats = 0 ─▶ as usual
//	     └▶ repeats − 1 ─▶ a connection made after the first GOAWAY has room: there
//	                    └▶ none has: kept, and in the next picker counted in repeats again
//
// gRPC calls Done, and Pick for the next attempt, one after the other in one goroutine, but
// a pick does not tell which RPC it is for. Others may come between the two, so for each
// that ended the next two picks are taken for repeats. The pool ends this, and publishes, as
// soon as no connection is on its way, and after about two handshakes: see Gate.EndRepeats.

// GoAways counts the connections of one endpoint on which a GOAWAY came. The first opens a
// window, which the pool closes: connections that were dialled
// within it are fresh. While there is none all are.
type GoAways struct {
	n      atomic.Uint32
	opened atomic.Uint32 // what n was when the window opened, with the one that did; or 0
}

// Count returns how many there were.
func (g *GoAways) Count() uint32 { return g.n.Load() }

// Open reports whether there is a window.
func (g *GoAways) Open() bool { return g.opened.Load() != 0 }

// Close ends the window.
func (g *GoAways) Close() { g.opened.Store(0) }

// Of says of which endpoint the connection is, and that it was dialled when dialled
// GOAWAYs had come from there. It comes before the first picker that has l.
func (l *Load) Of(endpoint *GoAways, dialled uint32) {
	l.goAways, l.madeAt = endpoint, dialled
}

// GoAway says that the server takes no more RPCs on the connection, and how many it took.
// It must be called before gRPC learns of it: from here on the connection gets none, and
// those that gRPC repeats are known.
func (l *Load) GoAway(took int) {
	w := l.word.Or(drainingBit)
	if took > 0 && w>>32 > 0 {
		l.served.Store(true)
	}
	// It may be said twice, and of a connection that was retired before no other is made.
	if !l.goneAway.Swap(true) && w&drainingBit == 0 {
		l.goAways.opened.CompareAndSwap(0, l.goAways.n.Add(1))
	}
}

// GoneAway reports whether that was said.
func (l *Load) GoneAway() bool { return l.goneAway.Load() }

// Fresh reports whether the connection was dialled within the window.
func (l *Load) Fresh() bool { return l.madeAt >= l.goAways.opened.Load() }

func (g *Gate) expectRepeat() { g.repeats.Add(2) }

// Repeats reports whether picks are taken for repeats, or RPCs are kept for being some.
func (g *Gate) Repeats() bool { return g.repeats.Load() > 0 || g.Kept() > 0 }

// EndRepeats makes all RPCs be picked as usual again. It comes between Open and the
// publication of the picker that is built then, or those that are kept stay so.
func (g *Gate) EndRepeats() { g.repeats.Store(0) }

// repeat picks for an RPC that is taken for a repeat: the least loaded of the fresh
// connections.
func (p *pool) repeat() (balancer.PickResult, error) {
	for range p.conns { // a racing pick may have been sooner
		if c := p.leastOf(0, func(c *conn) bool { return c.Fresh() && c.takes() }); c == nil {
			break
		} else if c.reserve() {
			return c.result, nil
		}
	}
	p.crowd.kept.Add(1)
	// The next picker may be published already, and this one's kept RPCs counted: then
	// this RPC was not among them, and counts itself.
	if p.gate.crowd.Load() != p.crowd && takeOne(&p.crowd.kept) {
		p.gate.repeats.Add(1)
	}
	call(p.gate.Pressure)
	return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
}

// leastOf returns the connection with the least to do of those that will do, of equal ones
// the first from start on; or nil.
func (p *pool) leastOf(start int, will func(*conn) bool) (least *conn) {
	for i := range p.conns {
		if c := &p.conns[(start+i)%len(p.conns)]; will(c) && (least == nil || c.cost() < least.cost()) {
			least = c
		}
	}
	return least
}

// takeOne takes one from a count, unless that is 0: racing picks must not take it below.
func takeOne(count *atomic.Int64) bool {
	for n := count.Load(); n > 0; n = count.Load() {
		if count.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}
