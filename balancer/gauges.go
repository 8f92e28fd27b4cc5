package balancer

import (
	"sync/atomic"

	"google.golang.org/grpc/experimental/stats"

	"github.com/grpc-subpool/subpool/internal/registry"
)

// Gauges are read when metrics are collected, so they cost nothing in between.
var (
	inFlightMetric = stats.RegisterInt64AsyncGauge(described("subpool.calls.in_flight", "{call}",
		"RPCs in flight, with those that are queued in a connection."))
	waitingMetric = stats.RegisterInt64AsyncGauge(described("subpool.calls.waiting", "{call}",
		"RPCs that are held, or queued in a connection, because every connection is full."))
)

// reportGauges reports them until stop is called. A collection holds locks of the recorder while
// it calls report, and these are taken to register, too: so no lock that report takes may be
// held here or in stop.
func (p *pool) reportGauges() (stop func()) {
	return p.recorder.RegisterAsyncReporter(stats.AsyncMetricReporterFunc(p.report), inFlightMetric, waitingMetric)
}

// report reports the sum of all pools of this process with the target: metrics tell pools apart by
// that alone, and a gauge that two report has the value of one of them.
func (p *pool) report(r stats.AsyncMetricsRecorder) error {
	inFlight, waiting := 0, 0
	for _, source := range registry.OfTarget(p.target) {
		o, ok := source.(*pool)
		if !ok {
			continue
		}
		// A parent policy may make another pool while this one publishes, under its lock, and so
		// wait for the collection: then the last numbers must do.
		if o.mu.TryLock() {
			n, w := o.callsLocked()
			o.reported.inFlight.Store(int64(n))
			o.reported.waiting.Store(int64(w))
			o.mu.Unlock()
		}
		inFlight, waiting = inFlight+int(o.reported.inFlight.Load()), waiting+int(o.reported.waiting.Load())
	}
	inFlightMetric.Record(r, int64(inFlight), p.target)
	waitingMetric.Record(r, int64(waiting), p.target)
	return nil
}

// reported are RPCs as they were last counted for a collection.
type reported struct{ inFlight, waiting atomic.Int64 }

// callsLocked counts RPCs: those in flight first, so that one that finds a place just now is not
// counted twice.
func (p *pool) callsLocked() (inFlight, waiting int) {
	for _, e := range p.endpoints.list {
		for _, s := range e.subchannels {
			if s.conn != nil {
				inFlight += s.conn.load.InFlight()
			}
		}
	}
	for _, c := range p.leftovers.lingering {
		inFlight += c.load.InFlight()
	}
	return inFlight, p.waiters.Held() + p.queuedLocked()
}

// queuedLocked counts the RPCs that are queued in connections.
func (p *pool) queuedLocked() (n int) {
	for _, e := range p.endpoints.list {
		for _, s := range e.subchannels {
			if s.conn != nil {
				n += s.conn.load.Queued()
			}
		}
	}
	return n
}
