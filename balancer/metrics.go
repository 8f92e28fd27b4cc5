package balancer

import (
	"time"

	"google.golang.org/grpc/experimental/stats"

	"github.com/grpc-subpool/subpool/internal/lifecycle"
)

// The metrics, as gRFC A79 has them: registered here, recorded on whatever the
// application gave to the channel, off unless it asks for them. Connections and
// attempts as such are gRPC's to count (gRFC A94).
var (
	subchannelsMetric = stats.RegisterInt64UpDownCount(described("subpool.subchannels", "{subchannel}",
		"Subchannels of the pool, by what each is doing.", "subpool.state"))
	missingMetric = stats.RegisterInt64UpDownCount(described("subpool.subchannels.missing", "{subchannel}",
		"Subchannels that the demand calls for beyond maxSize."))
	openedMetric = stats.RegisterInt64Count(described("subpool.connections.opened", "{connection}",
		"Connections made, by why: start, growth, or why the one before left.", "subpool.reason"))
	retiredMetric = stats.RegisterInt64Count(described("subpool.connections.retired", "{connection}",
		"Connections that left service, by why.", "subpool.reason"))
	renewalsFailedMetric = stats.RegisterInt64Count(described("subpool.renewals.failed", "{attempt}",
		"Attempts to replace a connection that failed; the old one stayed."))
	growthMetric = stats.RegisterInt64Count(described("subpool.growth", "{subchannel}",
		"Subchannels that were added because the demand called for them."))
	fullMetric = stats.RegisterInt64Count(described("subpool.calls.full", "{call}",
		"RPCs that found every connection full: held for a place, queued in a connection, or refused.", "subpool.outcome"))
	forceClosedMetric = stats.RegisterInt64Count(described("subpool.calls.force_closed", "{call}",
		"RPCs in flight on connections that were closed after drainTimeout."))
	limitMetric = stats.RegisterInt64Gauge(described("subpool.stream_limit", "{stream}",
		"Streams that the server allows on the connection with the fewest; -1 if there is no such limit any more."))
	waitMetric = stats.RegisterFloat64Histo(stats.MetricDescriptor{
		Name:        "subpool.calls.wait_duration",
		Description: "How long RPCs that found every connection full were held, or queued in a connection, until they found a stream or gave up.",
		Unit:        "s",
		Labels:      []string{targetLabel},
		Bounds:      []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
	})
	drainMetric = stats.RegisterFloat64Histo(stats.MetricDescriptor{
		Name:        "subpool.connections.drain_duration",
		Description: "How long retired connections took to finish their RPCs.",
		Unit:        "s",
		Labels:      []string{targetLabel},
		Bounds:      []float64{0.01, 0.1, 1, 5, 15, 60, 300, 900, 3600},
	})
)

const targetLabel = "grpc.target"

// described is a metric with these labels, and the target's.
func described(name, unit, description string, labels ...string) stats.MetricDescriptor {
	labels = append([]string{targetLabel}, labels...)
	return stats.MetricDescriptor{Name: name, Unit: unit, Description: description, Labels: labels}
}

// Metrics returns the names of all metrics of the policy.
func Metrics() (names []string) {
	for _, m := range []interface {
		Descriptor() *stats.MetricDescriptor
	}{
		subchannelsMetric, missingMetric, openedMetric, retiredMetric, renewalsFailedMetric, growthMetric, fullMetric, forceClosedMetric, waitMetric, limitMetric, drainMetric,
		inFlightMetric, waitingMetric,
	} {
		names = append(names, m.Descriptor().Name)
	}
	return names
}

// phases counts subchannels by phase.
type phases [lifecycle.Phases]int

// counters are what a pool has counted so far. Each is recorded as a metric when it changes:
// on a steady pool nothing is.
type counters struct {
	opened, retired [lifecycle.Reasons]int // connections
	failed          int                    // attempts
	renewalsFailed  int                    // of these
	grown           int                    // subchannels that the demand called for

	held, queued, refused, forceClosed int // RPCs

	subchannels phases // as the recorder knows them
	missing     int    // as the recorder knows it
	limit       int    // as the recorder knows it
}

// countDecisionLocked counts what was decided.
func (p *pool) countDecisionLocked(d lifecycle.Decision) {
	c := &p.counters
	switch d.Kind {
	case lifecycle.Grew:
		p.addLocked(&c.grown, d.Count, growthMetric)
	case lifecycle.Opened:
		p.addLocked(&c.opened[d.Reason], 1, openedMetric, d.Reason.String())
	case lifecycle.AttemptFailed:
		c.failed++
		if d.Renewal {
			p.addLocked(&c.renewalsFailed, 1, renewalsFailedMetric)
		}
	case lifecycle.Renewed, lifecycle.Retired, lifecycle.Lost:
		p.addLocked(&c.retired[d.Reason], 1, retiredMetric, d.Reason.String())
	case lifecycle.Shrank, lifecycle.Failed, lifecycle.Suspected, lifecycle.LimitChanged, lifecycle.Capped:
	}
}

// countLocked counts what is not decided but seen.
func (p *pool) countLocked(now time.Time) {
	p.recordSubchannelsLocked(p.endpoints.sum.phases)
	p.recordMissingLocked(p.endpoints.sum.missing)
	if limit, ok := p.endpoints.sum.limit(); ok { // else the last that was known
		p.recordLimitLocked(limit)
	}
	next := &p.schedule.nextCount
	if p.signals.full.take() && next.IsZero() {
		*next = now.Add(countEvery)
	}
	if !next.IsZero() && !now.Before(*next) {
		p.countFullLocked()
	}
}

// countEvery is how late RPCs that found every connection full may be counted. A pool that is
// full all the time is not woken by each of them.
const countEvery = time.Second

func (p *pool) recordLimitLocked(limit int) {
	if limit != p.counters.limit {
		p.counters.limit = limit
		limitMetric.Record(p.recorder, int64(lifecycle.ShownLimit(limit)), p.target)
	}
}

func (p *pool) recordSubchannelsLocked(now phases) {
	for phase, n := range now {
		if more := n - p.counters.subchannels[phase]; more != 0 {
			subchannelsMetric.Record(p.recorder, int64(more), p.target, lifecycle.Phase(phase).String())
		}
	}
	p.counters.subchannels = now
}

func (p *pool) recordMissingLocked(missing int) {
	if more := missing - p.counters.missing; more != 0 {
		p.counters.missing = missing
		missingMetric.Record(p.recorder, int64(more), p.target)
	}
}

// recordDrainedLocked records how long a retired connection took to finish its RPCs. It reads
// the clock anew: one without RPCs is retired and closed in one reconcile, by one now.
func (p *pool) recordDrainedLocked(c *connection) {
	if c != nil && !c.drainingAt.IsZero() {
		drainMetric.Record(p.recorder, time.Since(c.drainingAt).Seconds(), p.target)
	}
}

func (p *pool) countForceClosedLocked(rpcs int) {
	p.counters.forceClosed += rpcs
	forceClosedMetric.Record(p.recorder, int64(rpcs), p.target)
}

// countFullLocked takes what the pickers have counted.
func (p *pool) countFullLocked() {
	p.schedule.nextCount = time.Time{}
	held, queued, refused := p.waiters.TakeFull()
	p.addLocked(&p.counters.held, held, fullMetric, "held")
	p.addLocked(&p.counters.queued, queued, fullMetric, "queued")
	p.addLocked(&p.counters.refused, refused, fullMetric, "refused")
}

// addLocked adds n to a counter, and to its metric.
func (p *pool) addLocked(counter *int, n int, metric *stats.Int64CountHandle, labels ...string) {
	if n > 0 {
		*counter += n
		metric.Record(p.recorder, int64(n), append([]string{p.target}, labels...)...)
	}
}
