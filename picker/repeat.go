package picker

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/balancer"
)

// What a GOAWAY ends before the server took it, gRPC repeats by itself: an RPC that was
// refused, one that waited for a stream. But it does so once. If the second attempt meets a
// connection that is about to say GOAWAY too, for a server that restarts says it on all
// of them, the RPC fails. In a plain channel it waits for a new connection; so it does here,
// and all other RPCs go on.
//
//	Done, of an RPC that a GOAWAY ended ───▶ two picks are expected to be repeats
//
//	Pick ─▶ none is expected, and the RPC is not kept ─▶ as usual
//	     └▶ else ─▶ a fresh connection, made after the GOAWAY, has room: there
//	             └▶ none has: kept; the next picker knows it again
//
// gRPC calls Done, and Pick for the next attempt, one after the other in one goroutine, but
// that pick does not tell which RPC it is for. Others may come between the two, so for each
// that ended the next two picks are taken for repeats. The pool ends this, and publishes, as
// soon as no connection is on its way, and some time after the last GOAWAY.

// GoAways counts the connections of one endpoint on which a GOAWAY came. The first opens a
// window, which the pool closes. While there is none all connections are fresh; in a window
// those are that the pool calls so.
type GoAways struct {
	n      atomic.Uint32
	opened atomic.Uint32 // what n was when the window opened, with the one that did; or 0
}

// Count returns how many there were.
func (g *GoAways) Count() uint32 { return g.n.Load() }

// Opened returns the count with which the window opened, 0 if there is none.
func (g *GoAways) Opened() uint32 { return g.opened.Load() }

// Close ends the window.
func (g *GoAways) Close() { g.opened.Store(0) }

// Of says of which endpoint the connection is. It comes before the first picker that has l.
func (l *Load) Of(endpoint *GoAways) { l.goAways = endpoint }

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

// Freshen calls the connection fresh in the window that opened with this count.
func (l *Load) Freshen(opened uint32) { l.freshIn.Store(opened) }

// Fresh reports whether repeats may go to the connection.
func (l *Load) Fresh() bool {
	opened := l.goAways.Opened()
	return opened == 0 || l.freshIn.Load() == opened
}

// repeats are the RPCs of a pool that a GOAWAY ended.
type repeats struct {
	// counts holds in its low half the picks to come that are taken for repeats, in its high
	// half the RPCs that wait for a fresh connection; one that was cancelled counts. They
	// share a word, for each pick looks at it.
	counts atomic.Uint64
	// kept has the latter, by the channel of their context, which is that of all their picks.
	kept sync.Map
}

const oneKept = 1 << 32

func (g *Gate) expectRepeat() { g.repeats.counts.Add(2) }

// Kept returns how many RPCs are kept for a fresh connection.
func (g *Gate) Kept() int { return int(g.repeats.counts.Load() >> 32) }

// Repeats reports whether picks are taken for repeats, or RPCs are kept for being some.
func (g *Gate) Repeats() bool { return g.repeats.counts.Load() > 0 }

// EndRepeats makes all RPCs be picked as usual again. A publication must follow, or those
// that are kept stay so.
func (g *Gate) EndRepeats() {
	g.repeats.counts.Store(0)
	g.repeats.kept.Clear()
}

// isRepeat reports whether a pick is for an RPC that is kept, or taken for a repeat.
func (g *Gate) isRepeat(info balancer.PickInfo) bool {
	r := &g.repeats
	if _, kept := r.kept.LoadAndDelete(info.Ctx.Done()); kept {
		r.take(oneKept)
		return true
	}
	return r.take(1)
}

// take takes one of a kind from the counts, unless there is none: EndRepeats may have come
// between.
func (r *repeats) take(one uint64) bool {
	mask := one * (oneKept - 1)
	for n := r.counts.Load(); n&mask != 0; n = r.counts.Load() {
		if r.counts.CompareAndSwap(n, n-one) {
			return true
		}
	}
	return false
}

// repeat picks for an RPC that is taken for a repeat: the least loaded of the fresh
// connections.
func (p *pool) repeat(info balancer.PickInfo) (balancer.PickResult, error) {
	for range p.conns { // a racing pick may have been sooner
		if c := p.leastOf(0, func(c *conn) bool { return c.Fresh() && c.takes() }); c == nil {
			break
		} else if c.reserve() {
			return c.result, nil
		}
	}
	p.gate.repeats.kept.Store(info.Ctx.Done(), true)
	p.gate.repeats.counts.Add(oneKept)
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
