package load

import (
	"context"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/status"
)

// An RPC that a GOAWAY refused, or that waited for a stream when it came, gRPC retries by
// itself: a transparent retry (gRFC A6). But it does so once. If the retry meets a
// connection that is about to get a GOAWAY too, for a server that restarts sends it on all
// of them, the RPC fails. In a plain channel it waits for a new connection; so it does here,
// and all other RPCs go on.
//
//	Done, of an RPC that a GOAWAY refused ─▶ two picks are expected to be retries
//
//	Pick ─▶ none is expected, and the RPC is not held as a retry ─▶ as usual
//	     └▶ else ─▶ a fresh connection, made after the GOAWAY, has room: there
//	             └▶ none has: held; the next picker knows it again
//
// gRPC calls Done, and Pick for the next attempt, one after the other in one goroutine, but
// that pick does not tell which RPC it is for. Picks of other RPCs may come between the two,
// so for each RPC that was refused the next two picks are taken for retries. The policy ends this,
// and publishes, as soon as no connection is on its way, and some time after the last GOAWAY.

// GoAways counts the connections of one endpoint on which a GOAWAY came. The first opens a
// retry period, which the policy closes. While there is none all connections are fresh; in one
// those are that the policy calls so. The zero value is ready to use.
type GoAways struct {
	n      atomic.Uint32
	opened atomic.Uint32 // what n was when the retry period opened, with the one that did; or 0
}

// Count returns how many there were.
func (g *GoAways) Count() uint32 { return g.n.Load() }

// Opened returns the count with which the retry period opened, 0 if there is none.
func (g *GoAways) Opened() uint32 { return g.opened.Load() }

// Reopen begins the next retry period with the last GOAWAY, and returns Opened.
func (g *GoAways) Reopen() uint32 {
	g.opened.Store(g.n.Load())
	return g.Opened()
}

// Close ends the retry period.
func (g *GoAways) Close() { g.opened.Store(0) }

// GoAway says that the server takes no more RPCs on the connection, and how many it took.
// It must be called before gRPC learns of it: from here on the connection gets none, and
// transparent retries are known.
func (l *Load) GoAway(took int) {
	w := l.word.Or(drainingBit)
	if took > 0 && w>>32 > 0 {
		l.served.Store(true)
	}
	// It may be called twice, and no connection is made for one that was retired before.
	if !l.goAwayReceived.Swap(true) && w&drainingBit == 0 {
		l.goAways.opened.CompareAndSwap(0, l.goAways.n.Add(1))
	}
}

// GoAwayReceived reports whether GoAway was called.
func (l *Load) GoAwayReceived() bool { return l.goAwayReceived.Load() }

// SetFresh calls the connection fresh in the retry period that opened with this count.
func (l *Load) SetFresh(opened uint32) { l.freshIn.Store(opened) }

// YoungerThan reports whether the connection was made later than another of its pool.
func (l *Load) YoungerThan(o *Load) bool { return l.number > o.number }

// Fresh reports whether transparent retries may go to the connection.
func (l *Load) Fresh() bool {
	opened := l.goAways.Opened()
	return opened == 0 || l.freshIn.Load() == opened
}

// isLost reports whether the connection was closed, after a GOAWAY, under an RPC that the server took: gRPC
// retries only what was refused. It tells the two apart in its text alone. Were that another one, lost RPCs
// would be taken for refused ones: picks of other RPCs would be held in vain, and no RPC would be lost.
func isLost(err error) bool {
	return strings.Contains(status.Convert(err).Message(), "received prior goaway")
}

func (w *Waiters) expectRetry() { w.repicks.Add(2) }

// ExpectsRepicks reports whether picks must call PicksAgain, for their RPC may have been picked before:
// RPCs are held, or retries are expected.
func (w *Waiters) ExpectsRepicks() bool { return w.repicks.Load() > 0 }

// Retrying reports whether picks are taken for transparent retries, or RPCs are held for
// being some.
func (w *Waiters) Retrying() bool { return uint32(w.repicks.Load()) > 0 || w.HeldRetries() > 0 }

// HeldRetries returns how many RPCs are held for a fresh connection.
func (w *Waiters) HeldRetries() int { return int(w.waits.retries.Load()) }

// EndRetries makes all RPCs be picked as usual again. A publication must follow, or those
// that are held stay so.
func (w *Waiters) EndRetries() {
	w.repicks.And(lessOneWait) // its high half
	for _, x := range w.waits.byRPC.Range {
		if x, ok := x.(*wait); ok && x.state.CompareAndSwap(heldAsRetry, held) {
			w.waits.retries.Add(-1)
		}
	}
}

// PicksAgain says that a pick begins, which may be for an RPC that is held. It reports whether that
// is held as a transparent retry, or is taken for one. It counts that once: the picker must find
// a fresh connection, or call HoldRetry.
func (w *Waiters) PicksAgain(ctx context.Context) (retry bool) {
	if x := w.waitOf(ctx); x != nil {
		// It may have given up: over stays.
		for state := x.state.Load(); state != over && state != picking; state = x.state.Load() {
			if x.state.CompareAndSwap(state, picking) {
				w.leave(state)
				if state == heldAsRetry {
					return true
				}
			}
		}
	}
	for n := w.repicks.Load(); uint32(n) != 0; n = w.repicks.Load() {
		if w.repicks.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}

// HoldRetry holds a transparent retry until the next picker, and calls Signals.Demand.
func (w *Waiters) HoldRetry(ctx context.Context) {
	w.waits.retries.Add(1) // before it is seen, so that the count is never too small
	if !w.begin(ctx).state.CompareAndSwap(held, heldAsRetry) {
		w.waits.retries.Add(-1)
	}
	call(w.signals.Demand)
}
