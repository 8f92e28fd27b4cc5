package picker

import (
	"math"
	"sync/atomic"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
)

// A word's low 31 bits count RPCs in flight; the bit above them is set once the
// connection drains and never cleared; the high half counts all RPCs that ever
// started, modulo 2³².
const (
	inFlightMask = 1<<31 - 1
	drainingBit  = 1 << 31
	oneStart     = 1 << 32
)

// cacheLine is two lines of 64 bytes: processors fetch them in pairs.
const cacheLine = 128

// A Load counts the RPCs that one connection carries. It belongs to the
// connection, not to the subchannel: after a reconnect the old connection's
// RPCs live on, and counted together they would make the new one look full.
//
// All methods may be called concurrently. None takes a lock, none allocates.
type Load struct {
	_ [cacheLine]byte
	// word holds the draining bit and the count, so that "draining and none in
	// flight" is one atomic fact: once it is seen, no pick can undo it. It counts
	// starts too, so that idleness is seen without a clock read in each pick.
	word atomic.Uint64
	// penalty holds RPCs that the server failed: how many (low half), and the second
	// for which that is true (high half).
	penalty atomic.Uint64
	_       [cacheLine - 16]byte

	limit atomic.Uint32 // RPCs that may be in flight
	watch atomic.Uint32 // RPCs in flight from which on the pool is told
	// A count from alert on needs a closer look when it went up, from brink on
	// when it went down. Usually only the draining bit takes it there.
	alert, brink atomic.Uint32
	most         atomic.Uint32 // RPCs that may start on the connection in all

	doubted  atomic.Bool // see Doubt
	served   atomic.Bool // see Served
	goneAway atomic.Bool // see GoAway

	gate    *Gate
	goAways *GoAways
	freshIn atomic.Uint32           // see Freshen
	silent  func()                  // see OnSilence
	done    func(balancer.DoneInfo) // made once, so that a pick allocates nothing
}

// NewLoad returns the Load of a new connection of the pool that g stands for.
func NewLoad(g *Gate) *Load {
	l := &Load{gate: g, goAways: new(GoAways)}
	l.SetMost(0)
	l.limit.Store(inFlightMask)
	l.Watch(0)
	l.done = func(info balancer.DoneInfo) {
		if info.BytesReceived && !l.served.Load() {
			l.served.Store(true)
		}
		if info.Err != nil {
			l.ended(info)
		}
		if info.BytesSent {
			l.release()
		} else {
			l.undo() // it never had a stream, so the connection did not carry it
		}
	}
	return l
}

// ended looks at an RPC that failed.
func (l *Load) ended(info balancer.DoneInfo) {
	code := status.Code(info.Err)
	switch {
	case code == codes.Unavailable && !info.BytesReceived && l.goneAway.Load():
		l.gate.expectRepeat()
	case info.BytesSent && isTrouble(code):
		l.penalize()
	}
	if code == codes.DeadlineExceeded && info.BytesSent && !info.BytesReceived {
		call(l.silent)
	}
}

// Served reports whether the server answered any RPC, in whatever way, or said that it
// took one.
func (l *Load) Served() bool { return l.served.Load() }

// OnSilence makes silent be called when an RPC ended DEADLINE_EXCEEDED that was
// sent and got not one byte of an answer. It is called with locks of gRPC held and
// must not block. OnSilence comes before the first picker that has l.
func (l *Load) OnSilence(silent func()) { l.silent = silent }

// Doubt makes pickers that are built from now on take the connection only if no
// other can be taken.
func (l *Load) Doubt(on bool) {
	if l.doubted.Load() != on { // it shares a line with what every pick reads
		l.doubted.Store(on)
	}
}

// Drain makes every later pick of this connection fail: pickers that hold it take another.
func (l *Load) Drain() { l.word.Or(drainingBit) }

// Drained reports whether the connection drains and carries no RPC. Once that was
// so, none can get in any more.
func (l *Load) Drained() bool { return uint32(l.word.Load()) == drainingBit }

// InFlight returns the number of RPCs that the connection carries.
func (l *Load) InFlight() int { return int(l.word.Load() & inFlightMask) }

// Starts returns how many RPCs the connection ever carried, modulo 2³².
func (l *Load) Starts() uint32 { return uint32(l.word.Load() >> 32) }

// Watch asks for Gate.Pressure from n RPCs in flight on; 0 asks for none. It must
// not be called concurrently with itself or SetLimit.
func (l *Load) Watch(n int) {
	if n <= 0 || n > inFlightMask {
		n = inFlightMask
	}
	setIfNew(&l.watch, uint32(n))
	l.rearm()
}

// SetLimit makes the connection full at n RPCs in flight. Those above it stay.
func (l *Load) SetLimit(n int) {
	n = min(max(n, 0), inFlightMask)
	l.limit.Store(uint32(n))
	l.rearm()
	// Places that are there now: by a higher limit, or because an RPC ended while
	// the release still knew the old one.
	if room := n - l.InFlight(); room > 0 {
		l.gate.room(int64(room))
	}
}

func (l *Load) rearm() {
	limit := l.limit.Load()
	setIfNew(&l.alert, min(limit+1, l.watch.Load()))
	setIfNew(&l.brink, max(limit, 1)-1)
}

// setIfNew spares the cores that read the word a miss when nothing changes.
func setIfNew(word *atomic.Uint32, n uint32) {
	if word.Load() != n {
		word.Store(n)
	}
}

// SetMost bounds how many RPCs may start on the connection in all; 0 is no bound. The
// pool is told of the last of them.
func (l *Load) SetMost(n int) {
	most := uint32(math.MaxUint32)
	if n > 0 {
		most = uint32(n)
	}
	setIfNew(&l.most, most)
}

// Spent reports whether as many RPCs have started as may.
func (l *Load) Spent() bool { return l.Starts() >= l.most.Load() }

// reserve counts an RPC in, unless the connection drains, is full or spent. It adds
// before it checks: checking first, racing picks could overfill, or slip in after
// the count was seen at 0.
func (l *Load) reserve() bool {
	w := l.word.Add(oneStart | 1)
	return uint32(w) < l.alert.Load() && uint32(w>>32) < l.most.Load() || l.notable(w)
}

// notable is apart for what few picks need.
func (l *Load) notable(w uint64) bool {
	n, starts, most := uint32(w), uint32(w>>32), l.most.Load()
	if n&drainingBit != 0 || n > l.limit.Load() || starts > most {
		l.undo()
		return false
	}
	if n >= l.watch.Load() || starts == most {
		call(l.gate.Pressure)
	}
	return true
}

// force is reserve for a connection that may be full, where gRPC queues the RPC, or
// spent, where the server may refuse it and gRPC repeats it.
func (l *Load) force() bool {
	n := uint32(l.word.Add(oneStart | 1))
	if n&drainingBit != 0 {
		l.undo()
		return false
	}
	if n >= l.watch.Load() {
		call(l.gate.Pressure)
	}
	return true
}

// release takes one RPC out.
func (l *Load) release() {
	if w := l.word.Add(^uint64(0)); uint32(w) >= l.brink.Load() {
		l.freed(uint32(w), uint32(w>>32))
	}
}

// undo takes back a reserve, with its start, and wakes whom release would: the shell
// may have looked while the count was up, and needs to look again.
func (l *Load) undo() {
	w := l.word.Add(^uint64(oneStart))
	// Where that is one start less than there may be, RPCs may wait for it.
	if n, starts := uint32(w), uint32(w>>32); n >= l.brink.Load() || starts+1 == l.most.Load() {
		l.freed(n, starts)
	}
}

// freed tells of a place on a connection that takes RPCs. Where it takes none, a pick
// that was held would be undone, report room, and pick again without end.
func (l *Load) freed(n, starts uint32) {
	switch {
	case n == drainingBit:
		call(l.gate.Empty)
	case n < l.limit.Load() && starts < l.most.Load():
		l.gate.room(1)
	}
}

// place is what an address tells about its READY connection.
type place struct {
	load  *Load
	order int
}

type placeKey struct{}

// WithLoad returns addr with the Load of its connection, and the connection's
// place in the order in which round_robin goes round. The subpool policy calls
// it for each connection that it hands to a picker builder.
func WithLoad(addr resolver.Address, l *Load, order int) resolver.Address {
	addr.Attributes = addr.Attributes.WithValue(placeKey{}, place{l, order})
	return addr
}
