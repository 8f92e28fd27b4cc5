// Package load counts the RPCs that each connection of a pool carries, and those that wait
// for one. Pickers count with atomics alone, for Pick and Done run with locks of gRPC held; only
// RPCs that wait anyway take a lock, for moments.
// The policy reads the counts, and is told when they change in a way that matters to it.
package load

import (
	"cmp"
	"sync/atomic"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/resolver"
)

// The low 31 bits of a word count RPCs in flight; the bit above them is set once the
// connection drains and never cleared; the high half counts all RPCs that ever started,
// modulo 2³².
const (
	inFlightMask = 1<<31 - 1
	drainingBit  = 1 << 31
	oneStart     = 1 << 32
)

// cacheLine is two lines of 64 bytes: processors fetch them in pairs.
const cacheLine = 128

// counters are what RPCs write, on cache lines of their own.
type counters struct {
	_ [cacheLine]byte
	// word holds the draining bit and the count, so that "draining and none in flight" is
	// one atomic fact: once it is seen, no pick can undo it. It counts starts too, so that
	// idleness is seen without a clock read in each pick.
	word atomic.Uint64
	// penalty holds RPCs that the server failed: how many (low half), and the second
	// for which that is true (high half).
	penalty atomic.Uint64
	failed  atomic.Uint32 // RPCs that the server failed, modulo 2³²
	// failedInARow counts those since it last answered one without failing it.
	failedInARow atomic.Uint32
	_            [cacheLine - 24]byte
}

// bounds are what picks compare the counts with.
type bounds struct {
	limit         atomic.Uint32 // RPCs that may be in flight
	highWatermark atomic.Uint32 // RPCs in flight from which on Signals.Demand is called
	// Reserve looks closer where it counts up to slowReserveAt or more, release where it counts
	// down to slowReleaseAt or more. Usually only the draining bit takes the count there.
	slowReserveAt, slowReleaseAt atomic.Uint32
	requestLimit                 atomic.Uint32 // RPCs that may start in all
}

// history is what happened to the connection, as far as it matters to RPCs.
type history struct {
	served         atomic.Bool // see Answered
	goAwayReceived atomic.Bool
	freshIn        atomic.Uint32 // see SetFresh
	awaitEnd       atomic.Bool   // see SetRequestLimit
}

// A Load counts the RPCs of one connection. It belongs to the connection, not to the
// SubConn: after a reconnect the old connection's RPCs live on, and counted together they
// would make the new one look full.
//
// All methods may be called concurrently, where they do not say otherwise. None takes a lock or
// allocates, but where RPCs are queued in a full connection.
type Load struct {
	counters
	bounds
	history

	number       uint64 // of the pool's connections, in the order in which they were made
	waiters      *Waiters
	goAways      *GoAways
	signals      *Signals            // those of waiters, without SetSignals
	onAnswered   func()              // nil without OnAnswered
	onUnanswered func()              // nil without OnUnanswered
	picked       balancer.PickResult // its SubConn is nil before SetSubConn

	_       [cacheLine]byte // picks read what is above
	queue   queue
	id      int
	address *resolver.Address
}

// New returns the Load of a new connection, of a pool that shares w and of an endpoint that
// shares g. Nil stands for ones of its own.
func New(w *Waiters, g *GoAways) *Load {
	l := &Load{waiters: cmp.Or(w, new(Waiters)), goAways: cmp.Or(g, new(GoAways))}
	l.number = l.waiters.connections.Add(1)
	l.signals = &l.waiters.signals
	l.SetRequestLimit(0, false)
	l.limit.Store(inFlightMask)
	l.SetHighWatermark(0)
	l.picked.Done = func(info balancer.DoneInfo) {
		if info.BytesReceived && !l.served.Load() && l.served.CompareAndSwap(false, true) {
			call(l.onAnswered)
		}
		if info.Err != nil || !info.BytesReceived {
			l.fail(info)
		} else {
			l.answered()
		}
		if info.BytesSent {
			l.release()
		} else {
			l.CancelReserve() // it never had a stream, so the connection did not carry it
		}
	}
	return l
}

// SetSubConn says what the connection is of: a subchannel with an id, and the address to which
// it leads. SetSubConn comes before the first picker that has l.
func (l *Load) SetSubConn(id int, sc balancer.SubConn, addr *resolver.Address) {
	l.id, l.picked.SubConn, l.address = id, sc, addr
}

// ID returns the id of the subchannel.
func (l *Load) ID() int { return l.id }

// Address returns the address of the connection.
func (l *Load) Address() *resolver.Address { return l.address }

// Picked returns what a pick of the connection comes to. It was made once, so that a pick
// allocates nothing.
func (l *Load) Picked() balancer.PickResult { return l.picked }

// Done counts an RPC out that was reserved.
func (l *Load) Done(info balancer.DoneInfo) { l.picked.Done(info) }

// Answered reports whether the server answered any RPC, in whatever way, or its GOAWAY said
// that it took one.
func (l *Load) Answered() bool { return l.served.Load() }

// OnAnswered makes f be called when the first RPC ends that the server answered, in whatever way. It
// is called with locks of gRPC held and must not block. OnAnswered comes before the first picker that
// has l.
func (l *Load) OnAnswered(f func()) { l.onAnswered = f }

// OnUnanswered makes f be called when an RPC ended DEADLINE_EXCEEDED that was sent and got
// not one byte of an answer. It is called with locks of gRPC held and must not block.
// OnUnanswered comes before the first picker that has l.
func (l *Load) OnUnanswered(f func()) { l.onUnanswered = f }

// SetSignals makes the connection tell s of what concerns it alone. SetSignals comes before the
// first picker that has l.
func (l *Load) SetSignals(s *Signals) { l.signals = s }

// Drain makes every later Reserve fail: pickers take another connection.
func (l *Load) Drain() { l.word.Or(drainingBit) }

// Draining reports whether the connection takes no RPC any more, whatever may happen.
func (l *Load) Draining() bool { return l.word.Load()&drainingBit != 0 }

// Drained reports whether the connection drains and carries no RPC. Once that was so, none
// can get in any more.
func (l *Load) Drained() bool { return uint32(l.word.Load()) == drainingBit }

// InFlight returns the number of RPCs that the connection carries.
func (l *Load) InFlight() int { return int(l.word.Load() & inFlightMask) }

// Starts returns how many RPCs the connection ever carried, modulo 2³².
func (l *Load) Starts() uint32 { return uint32(l.word.Load() >> 32) }

// Reserve counts an RPC in, unless the connection drains, is full or reached its request
// limit. It adds before it checks, for if it checked first:
//   - two picks see one place left, and both add;
//   - a pick sees no draining bit, the connection drains, the policy sees it drained and
//     closes it, and the pick adds.
func (l *Load) Reserve() bool {
	w := l.word.Add(oneStart | 1)
	return uint32(w) < l.slowReserveAt.Load() && uint32(w>>32) < l.requestLimit.Load() || l.reserveSlow(w)
}

// reserveSlow is apart for what few picks need.
func (l *Load) reserveSlow(w uint64) bool {
	n, starts, most := uint32(w), uint32(w>>32), l.requestLimit.Load()
	if n&drainingBit != 0 || n > l.limit.Load() || starts > most {
		l.CancelReserve()
		return false
	}
	if n >= l.highWatermark.Load() || starts == most {
		call(l.signals.Demand)
	}
	return true
}

// ReserveQueued is Reserve for a connection that may be full, where gRPC queues the RPC, or
// at its request limit, where the server may refuse it and gRPC retries it transparently.
func (l *Load) ReserveQueued() bool {
	w := l.word.Add(oneStart | 1)
	n := uint32(w)
	if n&drainingBit != 0 {
		l.CancelReserve()
		return false
	}
	if n >= l.highWatermark.Load() || uint32(w>>32) == l.requestLimit.Load() {
		call(l.signals.Demand)
	}
	return true
}

// CancelReserve takes back a reserve, with its start, and tells what release would, for the
// reserve may have hidden it:
//   - a pick adds, the last RPC of a draining connection ends and finds the count at one;
//   - a pick adds on a full connection, an RPC ends and finds it still full.
func (l *Load) CancelReserve() {
	w := l.word.Add(^uint64(oneStart))
	// Where that is one start less than the request limit, RPCs may be held for it.
	if n, starts := uint32(w), uint32(w>>32); n >= l.slowReleaseAt.Load() || starts+1 == l.requestLimit.Load() {
		l.releaseSlow(n, starts)
	}
}

// release counts one RPC out.
func (l *Load) release() {
	w := l.word.Add(^uint64(0))
	if n, starts := uint32(w), uint32(w>>32); n >= l.slowReleaseAt.Load() {
		l.releaseSlow(n, starts)
	}
}

// releaseSlow tells of a drained connection, or of a place on one that takes RPCs. Where it
// takes none, a pick that was held would be cancelled, tell of a place, and pick again
// without end.
func (l *Load) releaseSlow(n, starts uint32) {
	l.settleQueue()
	switch {
	case n == drainingBit:
		call(l.signals.Changed)
	case n < l.limit.Load() && starts < l.requestLimit.Load():
		l.free(1)
	}
}
