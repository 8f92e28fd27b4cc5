//go:build linux

package service

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A load is how a program uses a channel: so many callers, each of which makes an RPC every
// pace if the one before has ended.
type load struct {
	callers  int
	pace     time.Duration
	deadline time.Duration // of an RPC
}

// A run is a load under way.
type run struct {
	load
	channel *channel
	stopped atomic.Bool
	ended   sync.WaitGroup

	mu sync.Mutex
	outcome
}

// An outcome is what a load came to.
type outcome struct {
	made, failed int
	answered     map[int]int // by backend
	failure      error       // the first
}

func (l load) start(c *channel) *run {
	r := &run{load: l, channel: c, outcome: outcome{answered: make(map[int]int)}}
	for range l.callers {
		r.ended.Go(func() {
			tick := time.NewTicker(l.pace)
			defer tick.Stop()
			for !r.stopped.Load() {
				r.one()
				<-tick.C
			}
		})
	}
	return r
}

func (r *run) one() {
	backend, err := r.channel.call(r.deadline)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made++
	if err == nil {
		r.answered[backend]++
		return
	}
	if r.failed++; r.failed == 1 {
		r.failure = err
	}
}

// answers is how many RPCs a backend has answered until now.
func (r *run) answers(backend int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answered[backend]
}

// total is how many RPCs have ended.
func (r *run) total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.made
}

// end stops the load, and tells what came of it.
func (r *run) end() outcome {
	r.stopped.Store(true)
	r.ended.Wait()
	return r.outcome
}

// plus is the outcome of both.
func (o outcome) plus(other outcome) outcome {
	o.made += other.made
	o.failed += other.failed
	if o.failure == nil {
		o.failure = other.failure
	}
	return o
}

func (o outcome) String() string {
	s := fmt.Sprintf("%d of %d failed", o.failed, o.made)
	if o.failed > 0 {
		s += fmt.Sprintf(" (%v)", o.failure)
	}
	return s
}
