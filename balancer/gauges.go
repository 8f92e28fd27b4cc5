package balancer

import (
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/experimental/stats"
)

// Gauges are read when metrics are collected, so they cost nothing in between.
var (
	inFlightMetric = stats.RegisterInt64AsyncGauge(described("subpool.calls.in_flight", "{call}",
		"RPCs in flight, with those that are queued in a connection."))
	waitingMetric = stats.RegisterInt64AsyncGauge(described("subpool.calls.waiting", "{call}",
		"RPCs that are held, or queued in a connection, because every connection is full."))
)

// sharing are the pools of this process by target. Metrics tell pools apart by that alone, and
// a gauge that two report has the value of one of them: so each reports the sum.
var sharing struct {
	sync.Mutex
	pools map[string][]*pool
}

// reportGauges reports them until stop is called. A collection holds locks of the recorder while
// it calls report, and these are taken to register, too: so no lock that report takes may be
// held here or in stop.
func (p *pool) reportGauges() (stop func()) {
	s := &sharing
	s.Lock()
	if s.pools == nil {
		s.pools = make(map[string][]*pool)
	}
	s.pools[p.target] = append(s.pools[p.target], p)
	s.Unlock()
	unregister := p.recorder.RegisterAsyncReporter(stats.AsyncMetricReporterFunc(p.report), inFlightMetric, waitingMetric)
	return func() {
		unregister()
		s.Lock()
		defer s.Unlock()
		s.pools[p.target] = slices.DeleteFunc(s.pools[p.target], func(o *pool) bool { return o == p })
		if len(s.pools[p.target]) == 0 {
			delete(s.pools, p.target)
		}
	}
}

func (p *pool) report(r stats.AsyncMetricsRecorder) error {
	sharing.Lock()
	pools := slices.Clone(sharing.pools[p.target])
	sharing.Unlock()
	inFlight, waiting := 0, 0
	for _, o := range pools {
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

// callsLocked counts RPCs.
func (p *pool) callsLocked() (inFlight, waiting int) {
	waiting = p.waiters.Held()
	for _, e := range p.endpoints.list {
		for _, s := range e.subchannels {
			if s.conn != nil {
				inFlight += s.conn.load.InFlight()
				waiting += s.conn.load.Queued()
			}
		}
	}
	for _, c := range p.leftovers.lingering {
		inFlight += c.load.InFlight()
	}
	return inFlight, waiting
}
