package lifecycle

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/grpc-subpool/subpool/config"
)

// Budget returns how many connections of an endpoint of this size may be under way at once
// to replace older ones, for whatever reason.
func Budget(size int) int { return max(1, size/10) }

// headroom is how much more than the demand an endpoint is made to carry, so that it grows
// before it is full.
const headroom = 1.25

// sizing is what the size depends on beside the demand.
type sizing struct {
	active   bool   // RPCs were sent of late, here or to another endpoint of the channel
	previous window // sizes that other settings called for
	last     int    // the size of the last plan
	capped   bool   // the demand calls for more than maxSize, as was told
	shrinkBy int    // subchannels that leave for the endpoint shrinks, in this plan
	surplus  Reason // why they do
}

// sizeFor returns how many subchannels demand RPCs in flight call for. limit is the server's
// own limit of streams per connection; a limit of 0 is no reason to grow.
func sizeFor(s config.Config, demand, limit int) int {
	return min(max(unboundedSizeFor(s, demand, limit), s.MinSize), s.MaxSize)
}

// unboundedSizeFor is sizeFor without minSize and maxSize.
func unboundedSizeFor(s config.Config, demand, limit int) int {
	perSubchannel := min(s.TargetStreams, limit)
	if demand <= 1 || perSubchannel == 0 {
		return min(demand, 1) // one RPC never calls for more
	}
	return int(math.Ceil(headroom * float64(demand) / float64(perSubchannel)))
}

// growsFrom returns the smallest demand that calls for more than size subchannels, or 0 if
// none does.
func growsFrom(s config.Config, size, limit int) int {
	perSubchannel := min(s.TargetStreams, limit)
	if size >= s.MaxSize || perSubchannel == 0 {
		return 0
	}
	return max(min(size, 1), int(float64(size)*float64(perSubchannel)/headroom)) + 1
}

// Size returns how many subchannels should serve.
func (e *Endpoint) Size() int {
	if e.removed {
		return 0
	}
	n := max(sizeFor(e.settings, e.demand.window.peak(), e.streamLimit.perConnection), e.sizing.previous.peak())
	if n == 0 && e.sizing.active {
		return 1
	}
	return n
}

// Missing returns how many subchannels more than maxSize the demand calls for.
func (e *Endpoint) Missing() int {
	if e.removed {
		return 0
	}
	return max(0, unboundedSizeFor(e.settings, e.demand.window.peak(), e.streamLimit.perConnection)-e.settings.MaxSize)
}

// tellMissing tells when the demand begins to call for more than maxSize, and when it ends. It
// is seen when the demand is sampled: nothing is to be done about it.
func (e *Endpoint) tellMissing() {
	missing := e.Missing()
	if e.sizing.capped == (missing > 0) {
		return
	}
	e.sizing.capped = missing > 0
	if missing > 0 {
		e.decide(Decision{Kind: Capped, Text: fmt.Sprintf("demand calls for %d subchannels, maxSize is %d: %d in flight, %s",
			e.settings.MaxSize+missing, e.settings.MaxSize, e.demand.window.peak(), e.perSubchannel())})
	} else if !e.removed {
		e.decide(Decision{Kind: Capped, Text: fmt.Sprintf("demand calls for no more than maxSize %d any more", e.settings.MaxSize)})
	}
}

// calledFor returns the size that the present part of the window calls for.
func (e *Endpoint) calledFor() int {
	return sizeFor(e.settings, e.demand.window.peaks[0], e.streamLimit.perConnection)
}

// resize takes the size of this plan. Up to base subchannels are opened to start, more for
// growth.
func (e *Endpoint) resize(size int) (base int) {
	z := &e.sizing
	last := z.last
	z.last, z.shrinkBy, base = size, max(0, last-size), max(last, e.settings.MinSize, 1)
	switch {
	case e.removed:
		z.surplus = ReasonRemoved
	case last > e.settings.MaxSize:
		z.surplus = ReasonSettings
	default:
		z.surplus = ReasonShrink
	}
	if size != last {
		e.decideSize(last, size, base)
	}
	return base
}

// markRefreshIdle says which connections are replaced when they are unused: those that would stay if
// the endpoint shrank to what the present part of the window calls for. Those above it are
// closed when the window has passed.
func (e *Endpoint) markRefreshIdle() {
	size, called := e.Size(), e.calledFor()
	if e.sizing.active && !e.Used() {
		called = max(called, 1) // that one stays for as long as other endpoints are used
	}
	for s := range e.inService() {
		s.conn.refreshIdle = true
	}
	// One whose successor has come stays among them, so that it is the one to leave.
	n := called + max(0, e.countInService()-size)
	if size <= called || n >= e.countInService() {
		return
	}
	connected := slices.Collect(e.inService())
	slices.SortStableFunc(connected, func(a, b *Subchannel) int {
		return cmp.Or(trueFirst(a.well(), b.well()), e.expiresFirst(b, a))
	})
	for _, s := range connected[n:] {
		s.conn.refreshIdle = false
	}
}

// watermark is each READY connection's share of the RPCs that are missing until the endpoint
// must grow, or the present part of the window must record a higher peak; 0 is never. Until one
// connection gets its share, all of them together do not get enough.
func (e *Endpoint) watermark() int {
	ready, most := e.count(Ready), growsFrom(e.settings, e.calledFor(), e.streamLimit.perConnection)
	if e.removed || ready == 0 || most == 0 {
		return 0
	}
	return max(1, (most-e.demand.now+ready-1)/ready)
}
