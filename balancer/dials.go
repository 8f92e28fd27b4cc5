package balancer

import (
	"slices"
	"time"
)

// A pool that starts thousands of connections does so in waves. A handshake with TLS costs
// about a millisecond of a processor, and a server's queue of connections that it has not
// accepted yet holds some hundreds: what comes beyond waits for TCP to try again, a second.
const (
	wave     = 256 // attempts
	waveLast = 100 * time.Millisecond
)

// dials are the attempts of a pool.
type dials struct {
	began   time.Time // the present wave
	begun   int       // attempts in it
	waiting []*endpoint
}

// left returns how many attempts may begin now.
func (d *dials) left(now time.Time) int {
	if !now.Before(d.began.Add(waveLast)) {
		d.began, d.begun = now, 0
	}
	return max(0, wave-d.begun)
}

// share returns how many attempts an endpoint may begin now, where it is the first of so many:
// one is left for each of the others, so that the wave tries as many servers as it can. It may
// be that most of them hang.
func (d *dials) share(now time.Time, endpoints int) int {
	left := d.left(now)
	return min(left, max(1, left-endpoints+1))
}

// planned counts what e begins.
func (d *dials) planned(e *endpoint) {
	d.begun += len(e.plan.Dial)
	if e.plan.MoreDials && !e.waitsToDial {
		e.waitsToDial = true
		d.waiting = append(d.waiting, e)
	}
}

// next returns when the next wave begins; zero if no endpoint waits for it.
func (d *dials) next() time.Time {
	if len(d.waiting) == 0 {
		return time.Time{}
	}
	return d.began.Add(waveLast)
}

// take takes those that may dial in a new wave: each has one attempt at least. Endpoints that
// were removed meanwhile dial no more.
func (d *dials) take(now time.Time) (taken []*endpoint) {
	if len(d.waiting) == 0 {
		return nil
	}
	left := d.left(now)
	for i, e := range d.waiting {
		if len(taken) == left {
			d.waiting = slices.Delete(d.waiting, 0, i) // it holds none that was taken
			return taken
		}
		e.waitsToDial = false
		if !e.Removed() {
			taken = append(taken, e)
		}
	}
	d.waiting = nil
	return taken
}
