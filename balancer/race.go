package balancer

import (
	"slices"
	"time"
)

// headStart is how long one address is tried alone before the next one joins in
// (gRFC A61).
const headStart = 250 * time.Millisecond

// lane is where one address of a race stands.
type lane uint8

const (
	laneIdle lane = iota
	laneDialing
	laneResting // gRPC's backoff runs
)

// A race is a slot's attempt at the addresses of its endpoint, which are
// alternatives: one after the other starts, after a head start or a failure, and
// the first that connects wins.
type race struct {
	lanes   []lane
	started int       // how many lanes this attempt has begun
	nextAt  time.Time // when the next one may
	winner  int       // the lane that connected last
}

// begin starts a new attempt at n addresses.
func (r *race) begin(n int) {
	if len(r.lanes) != n {
		r.lanes = make([]lane, n)
	}
	r.started, r.nextAt = 0, time.Time{}
}

// start returns the lane that should dial now.
func (r *race) start(now time.Time) (i int, ok bool) {
	if r.started == len(r.lanes) || now.Before(r.nextAt) {
		return 0, false
	}
	i = r.started
	r.started++
	r.nextAt = now.Add(headStart)
	r.lanes[i] = laneDialing
	return i, true
}

// end reports that lane i failed, and rests or not. over says that no other is
// left, failed that some lane rests.
func (r *race) end(i int, to lane) (over, failed bool) {
	if r.lanes[i] != laneDialing {
		return false, false
	}
	r.lanes[i] = to
	r.nextAt = time.Time{} // the next need not wait
	return r.started == len(r.lanes) && !r.any(laneDialing), r.any(laneResting)
}

// rest reports that the backoff of lane i is over.
func (r *race) rest(i int) bool {
	if r.lanes[i] != laneResting {
		return false
	}
	r.lanes[i] = laneIdle
	return true
}

// win reports that lane i connected. The others are of no use any more.
func (r *race) win(i int) {
	clear(r.lanes)
	r.winner = i
}

func (r *race) any(l lane) bool { return slices.Contains(r.lanes, l) }
