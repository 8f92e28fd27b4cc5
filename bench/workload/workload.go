// Package workload holds what is measured, one kind of work in a file, and how: the
// sides alternate in short slices within one run, and what counts is the ratio of two
// sides within a slice.
package workload

import (
	"fmt"
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/bench/child"
	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

// A Kind is a kind of work.
type Kind struct {
	Key   string // a letter
	Title string
	About string
	run   func(*Run, *result.Workload) error
}

// All kinds, in order.
var All = []Kind{limited, small, burst, bulk, recycled, dark, unneeded, saturated, pick, fleet, scale, loss, sweep}

// Roles are those of this program's children.
var Roles = map[string]child.Role{"server": server.Role, "idle": idleRole}

// A Run says how to measure.
type Run struct {
	// Quick is how much shorter it is made, to see that it works and for nothing else:
	// one slice of each side, and spans divided by this; 0 for a real run.
	Quick     int
	Contender string // measure this one alone; "" is all
	Part      string // of the large pools measure this one alone; "" is all
	// IdleProfile is a file for the heap's profile of the process with idle connections.
	IdleProfile string
	// Progress is told after each slice, with done at the end of a row.
	Progress func(text string, done bool)
}

// Measure runs one kind of work.
func (r *Run) Measure(k Kind) (result.Workload, error) {
	w := result.Workload{Key: k.Key, Title: k.Title, About: k.About}
	began := time.Now()
	err := k.run(r, &w)
	if w.Seconds = time.Since(began).Seconds(); err != nil {
		return w, fmt.Errorf("(%s) %s: %w", k.Key, k.Title, err)
	}
	return w, nil
}

// slices is how many there are of each side.
func (r *Run) slices(n int) int {
	if r.Quick > 0 {
		return 1
	}
	return n
}

// lasts is how long something goes on.
func (r *Run) lasts(d time.Duration) time.Duration {
	return d / time.Duration(max(1, r.Quick))
}

// values are what a slice measured, by metric; nil for a side that sat it out.
type values = map[string]float64

// A side is what is measured in a cell of a table.
type side struct {
	row, name string
	measure   func(slice int) (values, error)
}

// alternate measures the sides in n slices, each of which begins with another side.
func (r *Run) alternate(t *result.Table, n int, sides ...side) error {
	sides, err := r.chosen(sides)
	if err != nil {
		return err
	}
	n = r.slices(n)
	for s := range n {
		for i := range sides {
			side := sides[(s+i)%len(sides)]
			v, err := side.measure(s)
			if err != nil {
				return fmt.Errorf("%s, %s %s: %w", side.name, t.RowName, side.row, err)
			}
			if v != nil {
				t.Add(side.row, side.name, v)
			}
			r.Progress(fmt.Sprintf("%s, %s %s: slice %d of %d, %s", t.Name, t.RowName, side.row, s+1, n, side.name), false)
		}
	}
	for i, side := range sides {
		if i == 0 || side.row != sides[i-1].row {
			r.Progress(t.Line(side.row), true)
		}
	}
	return nil
}

// chosen are the sides that r is to measure.
func (r *Run) chosen(sides []side) (chosen []side, err error) {
	if r.Contender == "" {
		return sides, nil
	}
	var names []string
	for _, s := range sides {
		names = append(names, s.name)
		if s.name == r.Contender {
			chosen = append(chosen, s)
		}
	}
	if chosen == nil {
		slices.Sort(names)
		return nil, fmt.Errorf("contender: %q, must be one of %q", r.Contender, slices.Compact(names))
	}
	return chosen, nil
}

// use opens a pool, waits until the server has all its connections, and closes it when f
// has returned.
func use(c contender.Contender, s contender.Settings, srv *server.Process, f func(contender.Pool) error) error {
	s.Addr = srv.Addr
	before, err := srv.Usage()
	if err != nil {
		return err
	}
	pool, err := c.Open(s)
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	if err := srv.Await(before.Accepted + c.Connections(s)); err != nil {
		return err
	}
	return f(pool)
}

// carry is a side: contender c carries a load in a new pool.
func carry(row string, c contender.Contender, s contender.Settings, srv *server.Process, l load, tell func(*measured) values) side {
	return side{row, c.Name, func(int) (v values, err error) {
		err = use(c, s, srv, func(pool contender.Pool) error {
			m, err := l.run(pool, srv)
			if err == nil {
				v = tell(m)
			}
			return err
		})
		return v, err
	}}
}
