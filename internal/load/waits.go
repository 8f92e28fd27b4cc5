package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// An RPC waits where every connection is full: a picker holds it until a place comes free or a
// connection comes, or it is queued in a connection until that has a stream for it. What it
// waited is told when that is over. Of one that is held it is exact. One that is queued gRPC
// gives a stream without a word, so the first to come is taken for the first to get one, as
// in gRPC: the sum is exact, and so is each wait while none gives up.

// waits are the RPCs of a pool that are held. While there are any, each pick looks whether its RPC
// is among them.
type waits struct {
	held    atomic.Int64 // RPCs, but for those that pick again just now
	retries atomic.Int64 // of these, those that are held as transparent retries
	byRPC   sync.Map     // *wait by the channel of the context, which is that of all picks of an RPC
}

// What a wait adds to Waiters.repicks.
const (
	oneWait     = 1 << 32
	lessOneWait = ^uint64(oneWait - 1) // takes one back
)

// A wait is that of one RPC.
type wait struct {
	since   time.Time
	state   atomic.Int32
	counted atomic.Bool // it found every connection full; a transparent retry need not
}

// The states of a wait. None follows over.
const (
	held        int32 = iota // counted in waits.held
	heldAsRetry              // as a transparent retry: there, and in waits.retries
	picking                  // it picks again
	over
)

// begin returns the wait of an RPC, which may have begun before. It lasts until the RPC is placed or
// queued, or gives up.
func (w *Waiters) begin(ctx context.Context) *wait {
	if x := w.waitOf(ctx); x != nil {
		w.resume(x)
		return x
	}
	x := &wait{since: time.Now()}
	if !known(ctx) {
		x.state.Store(over)
		return x
	}
	w.repicks.Add(oneWait) // before it is seen, so that no count is ever too small
	w.waits.held.Add(1)
	if other, found := w.waits.byRPC.LoadOrStore(ctx.Done(), x); found { // of an RPC with the same channel
		w.repicks.Add(lessOneWait)
		w.waits.held.Add(-1)
		x, _ = other.(*wait)
		return x
	}
	context.AfterFunc(ctx, func() {
		if x := w.remove(ctx); x != nil {
			w.ended(x)
		}
	})
	return x
}

// resume counts an RPC as held again that picked again in vain, unless its wait is over.
func (w *Waiters) resume(x *wait) {
	w.waits.held.Add(1) // before it is seen, as in begin
	if !x.state.CompareAndSwap(picking, held) {
		w.waits.held.Add(-1)
	}
}

// known reports whether an RPC can be told by its context. In gRPC it can; what a stats.Handler
// has put in its place need not have a channel of its own.
func known(ctx context.Context) bool { return ctx != nil && ctx.Done() != nil }

func (w *Waiters) waitOf(ctx context.Context) *wait {
	if !known(ctx) {
		return nil
	}
	x, _ := w.waits.byRPC.Load(ctx.Done())
	found, _ := x.(*wait)
	return found
}

// ended tells of a wait that is over.
func (w *Waiters) ended(x *wait) {
	if x.counted.Load() {
		w.waited(time.Since(x.since))
	}
}

// remove returns the wait of an RPC that ends, nil if it was not held, or gives up just now.
func (w *Waiters) remove(ctx context.Context) *wait {
	if !known(ctx) {
		return nil
	}
	x, ok := w.waits.byRPC.LoadAndDelete(ctx.Done())
	if !ok {
		return nil
	}
	found, _ := x.(*wait)
	w.repicks.Add(lessOneWait)
	w.leave(found.state.Swap(over))
	return found
}

// leave takes a wait that had this state from the counts.
func (w *Waiters) leave(state int32) {
	if state == held || state == heldAsRetry {
		w.waits.held.Add(-1)
	}
	if state == heldAsRetry {
		w.waits.retries.Add(-1)
	}
}

// Held returns how many RPCs are held. One that picks again is not among them, so that it is
// never counted twice, if those in flight are counted first.
func (w *Waiters) Held() int { return int(w.waits.held.Load()) }

// Placed says that an RPC that may have been held found a place. Where none is held that costs
// one read.
func (w *Waiters) Placed(ctx context.Context) {
	if w.repicks.Load() >= oneWait {
		w.placed(ctx)
	}
}

func (w *Waiters) placed(ctx context.Context) {
	if x := w.remove(ctx); x != nil {
		w.ended(x)
	}
}

// StillHeld says that a pick ended as it began: the RPC is held if it was held before.
func (w *Waiters) StillHeld(ctx context.Context) {
	if w.repicks.Load() < oneWait {
		return
	}
	if x := w.waitOf(ctx); x != nil {
		w.resume(x)
	}
}

// EndWaits forgets all RPCs that are held: what becomes of them another policy decides.
func (w *Waiters) EndWaits() {
	for key := range w.waits.byRPC.Range {
		x, found := w.waits.byRPC.LoadAndDelete(key)
		if !found {
			continue
		}
		w.repicks.Add(lessOneWait)
		if x, ok := x.(*wait); ok {
			w.leave(x.state.Swap(over))
		}
	}
}

// requeued says that an RPC is queued in a connection, and returns since when it waits: if it
// was held, since then.
func (w *Waiters) requeued(ctx context.Context) time.Time {
	if x := w.remove(ctx); x != nil {
		return x.since
	}
	return time.Now()
}

func (w *Waiters) waited(d time.Duration) {
	w.waitedFor.Add(int64(d))
	if w.signals.Waited != nil {
		w.signals.Waited(d)
	}
}

// WaitedFor returns how long all RPCs have waited together whose wait is over.
func (w *Waiters) WaitedFor() time.Duration { return time.Duration(w.waitedFor.Load()) }

// queue is the RPCs that wait for a stream in one connection.
type queue struct {
	n     atomic.Int32 // len(since), for those that need not lock
	mu    sync.Mutex   // never held across a call
	since []time.Time  // of each, the first to come first
}

// Queue counts an RPC that was reserved by ReserveQueued, and waits.
func (l *Load) Queue(ctx context.Context) {
	since := l.waiters.requeued(ctx)
	l.waiters.count(&l.waiters.queued)
	l.queue.mu.Lock()
	l.queue.since = append(l.queue.since, since)
	l.queue.n.Store(int32(len(l.queue.since)))
	l.queue.mu.Unlock()
	l.settleQueue()
}

// settleQueue ends the waits of as many RPCs as are queued no more. That may be too late, never
// wrong: it compares numbers, and counts no events.
func (l *Load) settleQueue() {
	if l.queue.n.Load() == 0 {
		return
	}
	l.queue.mu.Lock()
	over := max(0, len(l.queue.since)-l.Queued())
	ended := l.queue.since[:over:over]
	l.queue.since = l.queue.since[over:]
	l.queue.n.Store(int32(len(l.queue.since)))
	l.queue.mu.Unlock()
	for _, since := range ended {
		l.waiters.waited(time.Since(since))
	}
}
