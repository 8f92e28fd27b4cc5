// Package load makes RPCs from several callers until it is told to stop.
package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Load is running callers.
type Load struct {
	stop    chan struct{}
	once    sync.Once
	callers sync.WaitGroup
	rpcs    atomic.Int64

	mu      sync.Mutex
	failed  int
	errs    []error // the first few
	slowest time.Duration
}

// Start runs callers that each make one RPC after the other until one fails, and stops
// them when the test ends. The context of an RPC ends after deadline: long enough that only an RPC
// that was forgotten meets it.
func Start(t testing.TB, callers int, deadline time.Duration, rpc func(context.Context) error) *Load {
	l := &Load{stop: make(chan struct{})}
	for range callers {
		l.callers.Go(func() {
			for !l.stopped() && l.one(deadline, rpc) {
			}
		})
	}
	t.Cleanup(func() { l.Stop() })
	return l
}

func (l *Load) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

func (l *Load) one(deadline time.Duration, rpc func(context.Context) error) (ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	began := time.Now()
	err := rpc(ctx)
	took := time.Since(began)
	l.rpcs.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowest = max(l.slowest, took)
	if err != nil {
		l.failed++
		if len(l.errs) < 5 {
			l.errs = append(l.errs, err)
		}
	}
	return err == nil
}

// RPCs is how many have ended.
func (l *Load) RPCs() int { return int(l.rpcs.Load()) }

// A Result is what became of the RPCs.
type Result struct {
	RPCs    int
	Failed  int
	Errors  []error // the first of them
	Slowest time.Duration
}

// Stop lets each caller end the RPC that it makes, and returns what became of all.
func (l *Load) Stop() Result {
	l.once.Do(func() { close(l.stop) })
	l.callers.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return Result{RPCs: l.RPCs(), Failed: l.failed, Errors: l.errs, Slowest: l.slowest}
}

func (r Result) String() string {
	return fmt.Sprintf("%s RPCs, %d failed", Thousands(r.RPCs), r.Failed)
}

// Thousands writes a number as 12,345.
func Thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", Thousands(n/1000), n%1000)
}
