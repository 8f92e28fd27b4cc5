package workload

import (
	"math/rand/v2"
	"slices"
	"time"
)

// A simulation is a fleet of clients behind an L4 balancer that scales out. Dials take
// no time and none fails; a client replaces its connections one at a time, which with
// dials that take no time makes no difference.
type simulation struct {
	clients, size int // connections of each
	maxLifetime   time.Duration
	jitter        float64
	before, after int // backends
}

// An outcome is what the fleet did.
type outcome struct {
	imbalance []float64 // by minute since it scaled out: the busiest backend ÷ the mean
	most      int       // dials in a second, after the first minute
	mean      float64   // dials a second, in the three hours after the first minute
}

// lifeOf is the life of a connection, as docs/lifecycle.md has it: maxLifetime × (1 −
// lifetimeJitter × u), with u drawn from 0 to 1 when it is made; 0 is for ever.
func lifeOf(maxLifetime time.Duration, jitter, u float64) time.Duration {
	return time.Duration(float64(maxLifetime) * (1 - jitter*u))
}

// begins is the time within which all clients start.
const begins = 10 * time.Second

// counts is for how long dials are counted for their mean: a multiple of each maxLifetime,
// for without jitter they come in waves.
const counts = 3 * time.Hour

func (s simulation) run(rng *rand.Rand) outcome {
	// How many connections a backend gets and loses in each minute since scaleOut.
	minutes := int((fleetEnds-scaleOut)/time.Minute) + 1
	change := make([][]int, s.after)
	for b := range change {
		change[b] = make([]int, minutes+1)
	}
	dials := make([]int, fleetEnds/time.Second+1)
	for range s.clients {
		start := time.Duration(rng.Float64() * float64(begins))
		for range s.size {
			s.follow(rng, start, dials, change)
		}
	}
	return sum(dials, change, s.clients*s.size)
}

// follow follows a place in a pool from connection to connection.
func (s simulation) follow(rng *rand.Rand, at time.Duration, dials []int, change [][]int) {
	for at <= fleetEnds {
		dials[at/time.Second]++
		backend := rng.IntN(s.before)
		if at >= scaleOut {
			backend = rng.IntN(s.after)
		}
		ends := fleetEnds + 2*time.Minute // after all that is looked at
		if s.maxLifetime > 0 {
			// A full jitter can draw 0, and 0 would never end.
			ends = at + max(lifeOf(s.maxLifetime, s.jitter, rng.Float64()), 1)
		}
		change[backend][minuteOf(at)]++
		change[backend][min(minuteOf(ends), len(change[backend])-1)]--
		at = ends
	}
}

// minuteOf is the first minute since scaleOut that begins at t or later, 0 for all before.
func minuteOf(t time.Duration) int {
	return int(max(0, (t-scaleOut+time.Minute-1)/time.Minute))
}

func sum(dials []int, change [][]int, connections int) (o outcome) {
	mean := float64(connections) / float64(len(change))
	has := make([]int, len(change))
	for minute := range len(change[0]) - 1 {
		for b := range has {
			has[b] += change[b][minute]
		}
		o.imbalance = append(o.imbalance, float64(slices.Max(has))/mean)
	}
	for _, n := range dials[60:] {
		o.most = max(o.most, n)
	}
	for _, n := range dials[60 : 60+int(counts/time.Second)] {
		o.mean += float64(n) / counts.Seconds()
	}
	return o
}
