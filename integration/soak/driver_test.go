package soak

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An event is a fault that begins when so many RPCs have succeeded since the one before:
// so a slow machine sees as many faults as a fast one.
type event struct {
	after int64
	fault int
	draw  uint64 // seeds what the fault draws
}

// Between two faults there are so many RPCs in the mean, or it is so long. In a quiet
// round there are more: pools that hardly do anything but renew themselves must not
// need the next fault to wake them.
const (
	meanGap = 400
	maxGap  = 500 * time.Millisecond
	quieter = 20
)

func isQuiet(round uint64) bool { return round%3 == 2 }

// schedule is the faults of a round, without end. It depends on nothing but the seed,
// so a seed replays it, and a round does not depend on how long those before took.
func schedule(seed, round uint64) iter.Seq[event] {
	return func(yield func(event) bool) {
		r, mean, chances := rand.New(rand.NewPCG(seed, round)), float64(meanGap), 0
		if isQuiet(round) {
			mean *= quieter
		}
		for _, f := range faults {
			chances += f.chance
		}
		for {
			e := event{after: int64(r.ExpFloat64() * mean)}
			n := r.IntN(chances)
			for n >= faults[e.fault].chance {
				n -= faults[e.fault].chance
				e.fault++
			}
			e.draw = r.Uint64()
			if !yield(e) {
				return
			}
		}
	}
}

// A driver makes the faults of one round happen.
type driver struct {
	*soak
	order []*backend // the sanctuary first
	out   sync.Mutex // held in an outage
	done  chan struct{}
	going atomic.Int64 // faults, and what begins them
}

// drive begins with a round's faults. stop ends them, and waits until all is mended.
func (s *soak) drive(round uint64) (stop func()) {
	d := &driver{soak: s, done: make(chan struct{})}
	n := round % uint64(len(s.backends))
	d.order = append(append(d.order, s.backends[n:]...), s.backends[:n]...)
	s.sanctuary.Store(d.order[0])
	r, gap := rand.New(rand.NewPCG(s.seed, ^round)), maxGap
	for _, c := range s.channels {
		if isQuiet(round) {
			gap = quieter * maxGap
			c.configure(steadySettings(r), false)
		} else {
			c.configure(anySettings(r), r.IntN(2) == 0)
		}
	}
	d.begin(func() {
		for e := range schedule(s.seed, round) {
			next := s.succeeded.Load() + e.after
			for late := time.Now().Add(gap); s.succeeded.Load() < next && time.Now().Before(late) && !over(d.done); {
				d.sleep(time.Millisecond)
			}
			if over(d.done) {
				return
			}
			d.begin(func() { faults[e.fault].do(d, rand.New(rand.NewPCG(e.draw, 0))) })
		}
	})
	return func() {
		close(d.done)
		s.waitFor("every fault to end", 2*time.Minute, func() string { return left(d.going.Load(), "faults") })
	}
}

func (d *driver) begin(do func()) {
	d.going.Add(1)
	go func() {
		defer d.going.Add(-1)
		do()
	}()
}

// left tells that there are so many of something, if there are.
func left(n int64, of string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", n, of)
}

// sleep waits, but not beyond the end of the round.
func (d *driver) sleep(t time.Duration) {
	select {
	case <-d.done:
	case <-time.After(t):
	}
}

// A happening is what a fault did, and when.
type happening struct {
	at   time.Time
	what string
}

// note counts a fault by its name, and writes down what it did.
func (d *driver) note(fault string, what ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.happened[fault]++
	d.history = append(d.history, happening{time.Now(), strings.TrimSpace(fault + " " + fmt.Sprintln(what...))})
}

// between tells what happened between two instants.
func (s *soak) between(from, to time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all strings.Builder
	for _, h := range s.history {
		if !h.at.Before(from) && !h.at.After(to) {
			fmt.Fprintf(&all, "\t\t%s %s\n", clock(h.at), h.what)
		}
	}
	return all.String()
}
