package balancer

import (
	"fmt"
	"time"
	"weak"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/lifecycle"
	"github.com/grpc-subpool/subpool/internal/witness"
)

// Snapshot implements registry.Source.
func (p *pool) Snapshot() (inspect.Pool, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return inspect.Pool{}, false
	}
	return p.snapshotLocked(time.Now()), true
}

// Recycle implements registry.Source.
func (p *pool) Recycle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.cfg == nil {
		return // nothing is connected yet
	}
	now, connections := time.Now(), 0
	for _, e := range p.endpoints.list {
		connections += e.Recycle()
	}
	p.endpoints.markAll()
	p.decideLocked(now, decision{what: "recycle", why: fmt.Sprintf("Recycle was called: %d connections to be replaced", connections)})
	p.reconcileLocked(now)
}

func (p *pool) snapshotLocked(now time.Time) inspect.Pool {
	p.readConnectionsLocked(p.endpoints.list, now) // what that starts has raised a signal, too, and is reconciled soon
	p.countHeldLocked()
	p.countFullLocked()
	shown := inspect.Pool{
		Target:    p.target,
		State:     p.published.state.String(),
		Error:     p.published.err,
		At:        now,
		Since:     p.since,
		Settings:  config.Default(), // until the resolver has answered
		Held:      p.waiters.Waiting() + p.waiters.HeldRetries(),
		Endpoints: []inspect.Endpoint{},
		Totals:    p.counters.totals(),
		Decisions: p.decisions.all(),
	}
	if p.cfg != nil {
		shown.Settings = *p.cfg
	}
	for _, e := range p.endpoints.list {
		shown.Endpoints = append(shown.Endpoints, e.Snapshot())
		for _, s := range e.subchannels {
			if s.conn != nil {
				shown.Queued += s.conn.load.Queued()
			}
		}
	}
	for _, c := range p.leftovers.lingering {
		shown.Lingering.Connections++
		shown.Lingering.InFlight += c.load.InFlight()
	}
	return shown
}

func (c *counters) totals() inspect.Totals {
	t := inspect.Totals{
		Failed:         int64(c.failed),
		Retired:        make(map[string]int64),
		RenewalsFailed: int64(c.renewalsFailed),
		Grown:          int64(c.grown),
		Held:           int64(c.held),
		Queued:         int64(c.queued),
		Refused:        int64(c.refused),
		ForceClosed:    int64(c.forceClosed),
	}
	for reason := range lifecycle.Reasons {
		t.Opened += int64(c.opened[reason])
		if reason.Retires() {
			t.Retired[reason.String()] = int64(c.retired[reason])
		}
	}
	return t
}

// witnessLocked is what tests may see of the pool.
func (p *pool) witnessLocked() witness.Pool {
	seen := witness.Pool{Target: p.target, Closing: len(p.leftovers.closing)}
	for _, c := range p.leftovers.lingering {
		seen.Lingering += c.load.InFlight()
	}
	for _, e := range p.endpoints.list {
		w := witness.Of(weak.Make(e.Endpoint), e.Snapshot(), e.Failures(), e.urgent)
		w.InFlight = 0 // as it is now: a step looks only at endpoints that it plans
		for _, s := range e.subchannels {
			w.InFlight += s.inFlight()
		}
		seen.Endpoints = append(seen.Endpoints, w)
	}
	return seen
}
