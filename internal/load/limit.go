package load

import (
	"cmp"
	"math"
	"sync/atomic"
)

// SetHighWatermark asks for Signals.Demand from n RPCs in flight on; 0 asks for none. It
// must not be called concurrently with itself or SetLimit.
func (l *Load) SetHighWatermark(n int) {
	setIfNew(&l.highWatermark, cmp.Or(uint32(min(max(n, 0), inFlightMask)), inFlightMask))
	l.setSlow()
}

// SetLimit makes the connection full at n RPCs in flight. Those above it stay.
func (l *Load) SetLimit(n int) {
	n = min(max(n, 0), inFlightMask)
	l.limit.Store(uint32(n))
	l.setSlow()
	l.settleQueue()
	// Places that are there now: by a higher limit, or because an RPC ended while
	// the release still knew the old one.
	if room := n - l.InFlight(); room > 0 {
		l.free(room)
	}
}

func (l *Load) setSlow() {
	limit := l.limit.Load()
	setIfNew(&l.slowReserveAt, min(limit+1, l.highWatermark.Load()))
	setIfNew(&l.slowReleaseAt, limit/2) // below, places that come free are not counted
}

// setIfNew spares the cores that read the word a cache miss when nothing changes.
func setIfNew(word *atomic.Uint32, n uint32) {
	if word.Load() != n {
		word.Store(n)
	}
}

// SetRequestLimit bounds how many RPCs may start on the connection in all; 0 is no bound.
// Signals.Demand is called at the last of them. awaitEnd says that RPCs that come then are held until the server
// ends the connection.
func (l *Load) SetRequestLimit(n int, awaitEnd bool) {
	l.awaitEnd.Store(awaitEnd)
	setIfNew(&l.requestLimit, cmp.Or(uint32(max(n, 0)), noRequestLimit))
}

const noRequestLimit = math.MaxUint32

// RequestLimitReached reports whether as many RPCs have started as may.
func (l *Load) RequestLimitReached() bool { return l.Starts() >= l.requestLimit.Load() }

// HasStreamOnly reports whether the connection has a stream for an RPC, but as many RPCs have started
// as may.
func (l *Load) HasStreamOnly() bool {
	w := l.word.Load()
	return uint32(w) < l.limit.Load() && uint32(w>>32) >= l.requestLimit.Load()
}

// AwaitsEnd reports whether RPCs are held for the end of the connection: as many have started as the
// server takes, so it is about to end it.
func (l *Load) AwaitsEnd() bool { return l.awaitEnd.Load() && l.RequestLimitReached() }

// HasRoom reports whether Reserve would succeed, as far as can be told without it.
func (l *Load) HasRoom() bool {
	w := l.word.Load()
	return uint32(w) < l.limit.Load() && uint32(w>>32) < l.requestLimit.Load()
}

// Queued returns how many RPCs are in flight above the limit: they wait for a stream.
func (l *Load) Queued() int { return max(0, l.InFlight()-int(l.limit.Load())) }

// RelativeLoad is the RPCs in flight in proportion to the limit, in units that serve only to
// compare: where it is less, one RPC more finds a stream sooner, for those that failed hold none. A
// connection that is Blocked comes after all others, and one that drains is last.
func (l *Load) RelativeLoad() uint64 {
	n := uint64(l.InFlight())
	switch {
	case l.Draining():
		return math.MaxUint64
	case l.Blocked():
		return 1<<63 + n
	}
	return n << 31 / max(1, uint64(l.limit.Load())) // it may be 0 by now
}

// Blocked reports whether one RPC more would never find a stream: with a limit of 0, where the
// request limit is reached, and on a connection that drains.
func (l *Load) Blocked() bool {
	return l.Draining() || l.limit.Load() == 0 || l.RequestLimitReached()
}
