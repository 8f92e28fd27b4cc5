package balancer

import (
	"time"

	"google.golang.org/grpc/experimental/stats"

	"github.com/grpc-subpool/subpool/internal/load"
)

// The metrics, as gRFC A79 has them: registered here, recorded on whatever the
// application gave to the channel, off unless it asks for them. Connections and
// attempts as such are gRPC's to count (gRFC A94).
var (
	subchannelsMetric = stats.RegisterInt64UpDownCount(described("subpool.subchannels", "{subchannel}",
		"Subchannels of the pool, by what each is doing.", "subpool.state"))
	openedMetric = stats.RegisterInt64Count(described("subpool.connections.opened", "{connection}",
		"Connections made, by why: start, growth, or why the one before left.", "subpool.reason"))
	retiredMetric = stats.RegisterInt64Count(described("subpool.connections.retired", "{connection}",
		"Connections that left service, by why.", "subpool.reason"))
	renewalsFailedMetric = stats.RegisterInt64Count(described("subpool.renewals.failed", "{attempt}",
		"Attempts to replace a connection that failed; the old one stayed."))
	growthMetric = stats.RegisterInt64Count(described("subpool.growth", "{subchannel}",
		"Subchannels that were added because the demand called for them."))
	fullMetric = stats.RegisterInt64Count(described("subpool.calls.full", "{call}",
		"RPCs that found every connection full: held for a dial, queued in a connection, or refused.", "subpool.outcome"))
	cutMetric = stats.RegisterInt64Count(described("subpool.calls.force_closed", "{call}",
		"RPCs in flight on connections that were force-closed after drainTimeout."))
	limitMetric = stats.RegisterInt64Gauge(described("subpool.stream_limit", "{stream}",
		"Streams that the server allows on the connection with the fewest; -1 if there is no such limit any more."))
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
		subchannelsMetric, openedMetric, retiredMetric, renewalsFailedMetric, growthMetric, fullMetric, cutMetric, limitMetric, drainMetric,
	} {
		names = append(names, m.Descriptor().Name)
	}
	return names
}

// A report is what a pool has told of itself so far.
type report struct {
	tally
	held, queued, refused, cut int // RPCs

	subchannels [closed]int // as the recorder knows them
	limit       int
	carried     int       // held RPCs that were counted, and look again
	nextCount   time.Time // of the RPCs that found everything full; zero if none did
}

// reportLocked counts what has happened since it was last called. A recorder is told
// of what has changed only: on a steady pool of nothing.
func (p *pool) reportLocked(now time.Time) {
	var subchannels [closed]int
	for _, e := range p.endpoints {
		e.noteLimit(now) // those that allowed something else may have left
		p.countLocked(e.tally)
		e.tally = tally{}
		for _, s := range e.slots {
			subchannels[s.phase]++
		}
		subchannels[draining] += len(e.leaving)
	}
	p.hearLocked(now)
	p.countHeldLocked()
	p.recordSubchannelsLocked(subchannels)
	p.recordLimitLocked(p.limitLocked())
	if p.full.take() && p.report.nextCount.IsZero() {
		p.report.nextCount = now.Add(countEvery)
	}
	if at := p.report.nextCount; !at.IsZero() && !now.Before(at) {
		p.countFullLocked()
	}
}

// limitLocked is the smallest limit of all endpoints; while none of them has said yet
// what it allows, the last that was known.
func (p *pool) limitLocked() int {
	limit, listed, heard := noLimit, false, false
	for _, e := range p.endpoints {
		if !e.removed {
			limit, listed, heard = min(limit, e.allows), true, heard || e.heard
		}
	}
	if listed && !heard {
		return p.report.limit
	}
	return limit
}

func (p *pool) recordLimitLocked(limit int) {
	if limit != p.report.limit {
		p.report.limit = limit
		limitMetric.Record(p.recorder, int64(shownLimit(limit)), p.target)
	}
}

// countEvery is how late RPCs that found everything full may be counted. A pool that
// is full all the time is not woken by each of them.
const countEvery = time.Second

func (p *pool) recordSubchannelsLocked(now [closed]int) {
	for ph, n := range now {
		if more := n - p.report.subchannels[ph]; more != 0 {
			subchannelsMetric.Record(p.recorder, int64(more), p.target, phase(ph).String())
		}
	}
	p.report.subchannels = now
}

func (p *pool) countLocked(t tally) {
	if t == (tally{}) {
		return
	}
	r := &p.report
	for why := range reasons {
		p.addLocked(&r.opened[why], t.opened[why], openedMetric, why.String())
		p.addLocked(&r.went[why], t.went[why], retiredMetric, why.String())
	}
	r.failed += t.failed
	p.addLocked(&r.renewalsFailed, t.renewalsFailed, renewalsFailedMetric)
	p.addLocked(&r.grown, t.grown, growthMetric)
}

// countFullLocked takes what the pickers have counted.
func (p *pool) countFullLocked() {
	p.report.nextCount = time.Time{}
	queued, refused := p.waiters.TakeFull()
	p.addLocked(&p.report.queued, queued, fullMetric, "queued")
	p.addLocked(&p.report.refused, refused, fullMetric, "refused")
}

// addLocked adds n to a total, and to its metric.
func (p *pool) addLocked(total *int, n int, metric *stats.Int64CountHandle, labels ...string) {
	if n > 0 {
		*total += n
		metric.Record(p.recorder, int64(n), append([]string{p.target}, labels...)...)
	}
}

// countHeldLocked counts the RPCs that are held and have not been counted.
func (p *pool) countHeldLocked() {
	if waiting := p.waiters.Waiting(); waiting > p.report.carried {
		p.addLocked(&p.report.held, waiting-p.report.carried, fullMetric, "held")
		p.report.carried = waiting
	}
}

// carryHeldLocked is called when the picker's time is over. All RPCs that it held will
// look again, and a pick does not tell whether its RPC is new: as many as were counted,
// and cannot all have found a place since, are taken to be the same. So there may be
// more, but not fewer: those that come while as many give up are not counted.
func (p *pool) carryHeldLocked(next *publication) {
	p.countHeldLocked()
	started := max(0, int(int32(startsOf(p.published.loads)-p.published.starts))) // an undo takes some back
	p.report.carried = max(p.waiters.Waiting(), p.report.carried-started)
	next.starts = startsOf(next.loads)
}

// startsOf adds up all RPCs that these connections ever carried, modulo 2³².
func startsOf(loads []*load.Load) (n uint32) {
	for _, l := range loads {
		n += l.Starts()
	}
	return n
}

// shownLimit is a limit as metrics and snapshots show it.
func shownLimit(limit int) int {
	if limit == noLimit {
		return -1
	}
	return limit
}
