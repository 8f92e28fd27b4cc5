package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// A load is many callers on one channel, each of which sends its next RPC as
// soon as the last one has ended.
type load struct {
	client  healthpb.HealthClient
	timeout time.Duration // of each RPC
	began   time.Time
	rowAt   time.Time // of the last row that was printed

	over      atomic.Bool
	callers   sync.WaitGroup
	succeeded atomic.Int64
	failed    atomic.Int64

	mu         sync.Mutex
	latencies  []time.Duration // of the callers that have returned
	firstError error
}

// A result is what a load came to.
type result struct {
	rate     float64 // RPCs per second
	p50, p99 time.Duration
	failed   int64
}

func startLoad(client healthpb.HealthClient, timeout time.Duration) *load {
	l := &load{client: client, timeout: timeout, began: time.Now(), rowAt: time.Now()}
	for range callers {
		l.callers.Go(l.callInLoop)
	}
	return l
}

func (l *load) callInLoop() {
	var latencies []time.Duration
	for !l.over.Load() {
		began := time.Now()
		if err := l.call(); err != nil {
			l.noteFailure(err)
			continue
		}
		l.succeeded.Add(1)
		latencies = append(latencies, time.Since(began))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latencies = append(l.latencies, latencies...)
}

// call makes one RPC. Nothing in it, or in the stub, knows of the pool.
func (l *load) call() error {
	ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
	defer cancel()
	_, err := l.client.Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

func (l *load) noteFailure(err error) {
	l.failed.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.firstError == nil {
		l.firstError = err
	}
}

// stop lets the RPCs on their way end, and sums up.
func (l *load) stop() result {
	l.over.Store(true)
	l.callers.Wait()
	slices.Sort(l.latencies)
	return result{
		rate:   float64(l.succeeded.Load()) / time.Since(l.began).Seconds(),
		p50:    l.percentile(50),
		p99:    l.percentile(99),
		failed: l.failed.Load(),
	}
}

func (l *load) percentile(p int) time.Duration {
	if len(l.latencies) == 0 {
		return 0
	}
	return l.latencies[(len(l.latencies)-1)*p/100]
}

// err reports the RPCs that failed, once the load has stopped.
func (l *load) err() error {
	if l.firstError == nil {
		return nil
	}
	return fmt.Errorf("%d RPCs failed, the first with: %w", l.failed.Load(), l.firstError)
}
