package harness

import (
	"context"
	"strings"
	"sync"

	estats "google.golang.org/grpc/experimental/stats"
	"google.golang.org/grpc/stats"
)

// A Recorder is a stats.Handler that adds up the metrics of the policy, for
// grpc.WithStatsHandler.
type Recorder struct {
	estats.UnimplementedMetricsRecorder
	mu    sync.Mutex
	sums  map[string]float64
	least map[string]float64 // of a histogram
	calls int
}

// NewRecorder returns a Recorder.
func NewRecorder() *Recorder {
	return &Recorder{sums: make(map[string]float64), least: make(map[string]float64)}
}

// Sum returns what was recorded of a metric with these labels, beside the target: of a
// gauge the last value, of a histogram how many.
func (r *Recorder) Sum(metric string, labels ...string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int(r.sums[key(metric, labels)])
}

// Least returns the smallest value of a histogram, 0 if it has none.
func (r *Recorder) Least(metric string) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.least[metric]
}

// Calls returns how often anything of the policy was recorded.
func (r *Recorder) Calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

func key(metric string, labels []string) string {
	return strings.Join(append([]string{metric}, labels...), " ")
}

func (r *Recorder) record(d *estats.MetricDescriptor, v float64, labels []string, gauge bool) {
	if !strings.HasPrefix(d.Name, "subpool.") {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	k := key(d.Name, labels[1:])
	if gauge {
		r.sums[k] = v
	} else {
		r.sums[k] += v
	}
}

// RecordInt64Count implements stats.MetricsRecorder.
func (r *Recorder) RecordInt64Count(h *estats.Int64CountHandle, n int64, labels ...string) {
	r.record(h.Descriptor(), float64(n), labels, false)
}

// RecordInt64UpDownCount implements stats.MetricsRecorder.
func (r *Recorder) RecordInt64UpDownCount(h *estats.Int64UpDownCountHandle, n int64, labels ...string) {
	r.record(h.Descriptor(), float64(n), labels, false)
}

// RecordInt64Gauge implements stats.MetricsRecorder.
func (r *Recorder) RecordInt64Gauge(h *estats.Int64GaugeHandle, n int64, labels ...string) {
	r.record(h.Descriptor(), float64(n), labels, true)
}

// RecordFloat64Histo implements stats.MetricsRecorder.
func (r *Recorder) RecordFloat64Histo(h *estats.Float64HistoHandle, v float64, labels ...string) {
	name := h.Descriptor().Name
	r.mu.Lock()
	if least, ok := r.least[name]; !ok || v < least {
		r.least[name] = v
	}
	r.mu.Unlock()
	r.record(h.Descriptor(), 1, labels, false)
}

// TagRPC implements stats.Handler.
func (r *Recorder) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (r *Recorder) HandleRPC(context.Context, stats.RPCStats) {}

// TagConn implements stats.Handler.
func (r *Recorder) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (r *Recorder) HandleConn(context.Context, stats.ConnStats) {}
