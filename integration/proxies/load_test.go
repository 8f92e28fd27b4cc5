package proxies

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A load is so many RPCs on each channel, by so many callers. A caller makes its RPCs
// one after the other, one every pace, and makes up for those that were late: so all
// channels have the same rate, if they can bear it.
type load struct {
	callers, rpcs int
	pace          time.Duration
}

// A run is a load under way.
type run struct {
	callers  sync.WaitGroup
	mu       sync.Mutex
	progress sync.Cond
	outcomes map[string]*outcome
}

// An outcome is what a load came to on the channels of a name.
type outcome struct {
	made, failed int
	errors       map[string]int
	failedOn     map[string]int // by the connection
	failedAt     []int          // how many RPCs were made by then
}

func (l load) run(channels ...*channel) map[string]*outcome { return l.start(channels...).wait() }

// start lets the channels begin side by side, and within the pace one after the other.
func (l load) start(channels ...*channel) *run {
	r := &run{outcomes: make(map[string]*outcome)}
	r.progress.L = &r.mu
	for _, c := range channels {
		r.outcomes[c.name] = &outcome{errors: make(map[string]int), failedOn: make(map[string]int)}
	}
	begin := time.Now()
	for i, c := range channels {
		for caller := range l.callers {
			first := begin.Add(l.pace * time.Duration(i*l.callers+caller) / time.Duration(len(channels)*l.callers))
			r.callers.Go(func() {
				for rpc := caller; rpc < l.rpcs; rpc += l.callers {
					time.Sleep(time.Until(first.Add(l.pace * time.Duration(rpc/l.callers))))
					conn, err := c.call()
					r.count(c, conn, err)
				}
			})
		}
	}
	return r
}

func (r *run) count(c *channel, conn string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := r.outcomes[c.name]
	sum.made++
	if err != nil {
		sum.failed++
		sum.errors[withoutPorts(err)]++
		sum.failedOn[conn]++
		sum.failedAt = append(sum.failedAt, sum.made)
	}
	r.progress.Broadcast()
}

var port = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// withoutPorts makes errors that differ in nothing else the same.
func withoutPorts(err error) string { return port.ReplaceAllString(err.Error(), "127.0.0.1:…") }

// reach waits until n RPCs were made on the channels of every name.
func (r *run) reach(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for slices.ContainsFunc(slices.Collect(maps.Values(r.outcomes)), func(sum *outcome) bool { return sum.made < n }) {
		r.progress.Wait()
	}
}

// wait lets the load end, which it does because every RPC ends.
func (r *run) wait() map[string]*outcome {
	r.callers.Wait()
	return r.outcomes
}

// failedAfter counts the failures that came when n RPCs had been made.
func (sum *outcome) failedAfter(n int) int {
	after, _ := slices.BinarySearch(sum.failedAt, n+1)
	return sum.failed - after
}

// String tells the failures, and the commonest reasons.
func (sum *outcome) String() string {
	s := fmt.Sprintf("%d of %d failed", sum.failed, sum.made)
	reasons := slices.SortedFunc(maps.Keys(sum.errors), func(a, b string) int { return sum.errors[b] - sum.errors[a] })
	for i, reason := range reasons {
		if i == 4 {
			return s + fmt.Sprintf("\n\tand %d other reasons", len(reasons)-i)
		}
		s += fmt.Sprintf("\n\t%d × %s", sum.errors[reason], reason)
	}
	return s
}

// compare prints both outcomes in a line, and demands that the pool lost no more RPCs
// than the plain channel.
func compare(t *testing.T, habit string, sums map[string]*outcome) {
	t.Helper()
	plain, pool := sums["plain"], sums["pool"]
	t.Logf("%s: plain %d of %d failed, pool %d of %d", habit, plain.failed, plain.made, pool.failed, pool.made)
	if plain.failed+pool.failed > 0 {
		t.Logf("plain: %v\npool: %v", plain, pool)
	}
	assert.Equal(t, plain.made, pool.made)
	assert.LessOrEqual(t, pool.failed, plain.failed, "the pool lost more RPCs than the plain channel")
}
