package balancer

import (
	"slices"
	"sync"

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

// reportGauges reports them until stop is called. That must not be under the lock of a pool:
// a collection holds locks of the recorder when it takes the pool's.
func (p *pool) reportGauges() (stop func()) {
	s := &sharing
	s.Lock()
	defer s.Unlock()
	if s.pools == nil {
		s.pools = make(map[string][]*pool)
	}
	s.pools[p.target] = append(s.pools[p.target], p)
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
		n, w := o.calls()
		inFlight, waiting = inFlight+n, waiting+w
	}
	inFlightMetric.Record(r, int64(inFlight), p.target)
	waitingMetric.Record(r, int64(waiting), p.target)
	return nil
}

// calls counts RPCs.
func (p *pool) calls() (inFlight, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
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
