package balancer

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/experimental/stats"

	"github.com/grpc-subpool/subpool/internal/load"
	"github.com/grpc-subpool/subpool/internal/registry"
)

// collecting locks as OpenTelemetry does: a registration waits for a collection.
type collecting struct {
	stats.UnimplementedMetricsRecorder
	sync.Mutex
	registers chan struct{}
}

func (r *collecting) RegisterAsyncReporter(stats.AsyncMetricReporter, ...stats.AsyncMetric) func() {
	close(r.registers)
	r.Lock()
	defer r.Unlock()
	return func() {}
}

// A channel is opened while metrics are collected.
//
// Guards: that reportGauges holds no lock, as registry's, across RegisterAsyncReporter.
func TestARegistrationThatWaitsForACollectionDoesNotHoldItUp(t *testing.T) {
	r := &collecting{registers: make(chan struct{})}
	p := &pool{channel: channel{recorder: r, target: "collected"}, waiters: load.NewWaiters(load.Signals{})}
	r.Lock() // a collection begins
	var opens sync.WaitGroup
	opens.Go(func() {
		defer registry.Register(p.target, p)()
		p.reportGauges()()
	})
	<-r.registers
	reported := make(chan error)
	go func() { reported <- p.report(nowhere{}) }()
	select {
	case err := <-reported:
		require.NoError(t, err)
	case <-time.After(time.Minute):
		require.Fail(t, "the collection waits for the registration")
	}
	r.Unlock()
	opens.Wait()
}

// A pool that publishes may wait for a collection, by way of its parent.
//
// Guards: TryLock in pool.report.
func TestACollectionDoesNotWaitForAPool(t *testing.T) {
	p := &pool{channel: channel{recorder: stats.UnimplementedMetricsRecorder{}, target: "busy"}, waiters: load.NewWaiters(load.Signals{})}
	defer registry.Register(p.target, p)()
	defer p.reportGauges()()
	p.mu.Lock()
	defer p.mu.Unlock()
	require.NoError(t, p.report(nowhere{}))
}

type nowhere struct{}

func (nowhere) RecordInt64AsyncGauge(*stats.Int64AsyncGaugeHandle, int64, ...string) {}
