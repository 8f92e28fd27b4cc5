package load

import (
	"cmp"
	"context"
	"math/bits"
	"sync/atomic"
	"time"
)

// Input is all that a picker is made of. Conns and Suspects are not both empty.
type Input struct {
	Waiters  *Waiters
	Waiting  *Waiting // from Waiters.Renew
	Conns    []*Load  // READY connections in the order of round robin, oldest first
	Suspects []*Load  // READY connections that are taken only if none of Conns can be, in the same order
	Draining []*Load  // RPCs that are queued on these count under MaxQueued, too
	// Coming is how many connections are on their way. RPCs for which there is no room are held for them,
	// as many for each as another one has in flight; the rest is queued in the connection that has the
	// fewest for its limit.
	Coming    int
	MaxQueued int // how many RPCs may be queued in full connections; NoMaxQueued is any number
}

// NoMaxQueued stands for no bound on queued RPCs.
const NoMaxQueued = -1

// Waiters are what the connections of one pool share: how they tell the policy of changes,
// and the RPCs that wait outside of connections. The zero value tells nothing.
type Waiters struct {
	signals     Signals
	connections atomic.Uint64 // that were ever made

	// repicks holds in its low half the picks to come that are taken for transparent retries, in
	// its high half the waits of RPCs that are held. They share a word, for each pick looks at
	// it.
	repicks atomic.Uint64
	waits   waits

	held, queued, refused atomic.Int64 // RPCs, since TakeFull
	waitedFor             atomic.Int64 // nanoseconds, of all RPCs

	waiting atomic.Pointer[Waiting] // of the present picker; nil before Renew
}

// Signals are called with locks of gRPC held and must not block. Each may be nil.
type Signals struct {
	Changed func() // a draining connection may be empty, or places came free that held RPCs may take
	Demand  func() // a connection reached its high watermark or request limit, or an RPC is held
	Full    func() // an RPC was held, queued or refused, the first since TakeFull
	// Waited is called when an RPC has found a stream, or given up, after it was held or queued.
	Waited func(time.Duration)
}

// NewWaiters returns the Waiters of a pool that is told of changes by s.
func NewWaiters(s Signals) *Waiters { return &Waiters{signals: s} }

// Waiting are the RPCs that one picker holds. They belong to that picker: counts of an
// outdated one must not get mixed up with those of its successor.
type Waiting struct {
	held  atomic.Int64 // RPCs
	freed atomic.Int64 // places that came free meanwhile

	freedFresh atomic.Bool // one of a fresh connection, while a transparent retry was held
}

// Renew starts a new set of held RPCs, for the picker that is built next: when that is
// published each held RPC picks again, and is counted again if it is held again.
func (w *Waiters) Renew() *Waiting {
	in := new(Waiting)
	w.waiting.Store(in)
	return in
}

// Waiting returns how many RPCs the present picker holds, but for those that gave up.
func (w *Waiters) Waiting() int { return int(min(w.present().held.Load(), w.waits.held.Load())) }

func (w *Waiters) present() *Waiting { return cmp.Or(w.waiting.Load(), &noWaiting) }

var noWaiting Waiting // never written

// Hold counts an RPC that the picker of in holds, and calls Signals.Demand. Then the picker
// must look for a place again, for one that came free before the RPC was counted is not told;
// and if it finds none, call Wait.
func (w *Waiters) Hold(in *Waiting) {
	in.held.Add(1)
	call(w.signals.Demand)
}

// Unhold takes back a Hold: the RPC found a place after all.
func (in *Waiting) Unhold() { in.held.Add(-1) }

// Wait says that an RPC is held. Only the first time it is counted.
func (w *Waiters) Wait(ctx context.Context) {
	if x := w.begin(ctx); !x.counted.Swap(true) {
		w.count(&w.held)
	}
}

// free counts places that came free on the connection, and tells the policy of the first one, and each
// time that there are twice as many.
func (l *Load) free(places int) {
	l.waiters.free(int64(places))
	in := l.waiters.waiting.Load()
	if in != nil && l.waiters.HeldRetries() > 0 && l.Fresh() && !in.freedFresh.Swap(true) {
		call(l.waiters.signals.Changed)
	}
}

func (w *Waiters) free(places int64) {
	in := w.present()
	if in.held.Load() == 0 {
		return
	}
	if n := in.freed.Add(places); bits.Len64(uint64(n)) > bits.Len64(uint64(n-places)) {
		call(w.signals.Changed)
	}
}

// Freed returns how many places came free while the present picker holds RPCs, without those below half of a
// connection's limit; 1 if there is one for a transparent retry.
func (w *Waiters) Freed() int {
	in := w.present()
	switch {
	case in.held.Load() > 0 && in.freed.Load() > 0:
		return int(in.freed.Load())
	case in.freedFresh.Load():
		return 1
	}
	return 0
}

// CountRefused counts an RPC that found every connection full, and failed for it.
func (w *Waiters) CountRefused() { w.count(&w.refused) }

func (w *Waiters) count(rpcs *atomic.Int64) {
	if rpcs.Add(1) == 1 {
		call(w.signals.Full)
	}
}

// TakeFull returns how many RPCs were held, queued in a connection that is full, and refused,
// since it was last called.
func (w *Waiters) TakeFull() (held, queued, refused int) {
	return int(w.held.Swap(0)), int(w.queued.Swap(0)), int(w.refused.Swap(0))
}

func call(f func()) {
	if f != nil {
		f()
	}
}
