package balancer

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/settings"
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
	for _, e := range p.endpoints {
		connections += e.recycle()
	}
	p.noteLocked(now, note{what: "recycle", why: fmt.Sprintf("somebody asked for new connections: %d to be replaced", connections)})
	p.settleLocked(now)
}

func (p *pool) snapshotLocked(now time.Time) inspect.Pool {
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
		Totals:    p.totalsLocked(),
		Decisions: p.trace.decisions(),
	}
	if p.cfg != nil {
		shown.Settings = *p.cfg
	}
	for _, e := range p.endpoints {
		shown.Endpoints = append(shown.Endpoints, e.snapshot(now))
		for _, s := range slices.Concat(e.slots, e.leaving) {
			if s.sub.load != nil {
				shown.Queued += max(0, s.inFlight()-s.places(s.limit))
			}
		}
	}
	for _, c := range p.former {
		shown.Lingering.Connections++
		shown.Lingering.InFlight += c.load.InFlight()
	}
	return shown
}

func (p *pool) totalsLocked() inspect.Totals {
	r := &p.report
	t := inspect.Totals{
		Failed:         int64(r.failed),
		Retired:        make(map[string]int64),
		RenewalsFailed: int64(r.renewalsFailed),
		Grown:          int64(r.grown),
		Held:           int64(r.held),
		Queued:         int64(r.queued),
		Refused:        int64(r.refused),
		ForceClosed:    int64(r.cut),
	}
	for why := range reasons {
		t.Opened += int64(r.opened[why])
		if why.retires() {
			t.Retired[why.String()] = int64(r.went[why])
		}
	}
	return t
}

func (e *endpointOf) snapshot(now time.Time) inspect.Endpoint {
	shown := inspect.Endpoint{
		Addresses:   addrsOf(e.addr),
		Removed:     e.removed,
		State:       e.state().String(),
		MinSize:     e.cfg.MinSize,
		MaxSize:     e.cfg.MaxSize,
		Wanted:      e.size(),
		Demand:      e.demand,
		Peak:        e.window.peak(),
		Limit:       shownLimit(e.allows),
		Subchannels: []inspect.Subchannel{},
		Budget:      e.budget(),
	}
	for _, s := range slices.Concat(e.slots, e.leaving) {
		shown.Subchannels = append(shown.Subchannels, s.snapshot(e.cfg, now))
	}
	slices.SortFunc(shown.Subchannels, func(a, b inspect.Subchannel) int { return cmp.Compare(a.ID, b.ID) })
	return shown
}

// budget is both sides of what always holds.
func (e *endpoint) budget() inspect.Budget {
	return inspect.Budget{
		Connections:     len(e.slots) - e.count(idle) - e.count(resting) + len(e.leaving),
		MostConnections: e.cfg.MaxSize + settings.Budget(e.size()) + len(e.leaving),
		Draining:        len(e.leaving),
	}
}

func (s *slot) snapshot(cfg *config.Config, now time.Time) inspect.Subchannel {
	shown := inspect.Subchannel{
		ID:       s.order,
		State:    s.phase.String(),
		InFlight: s.inFlight(),
		Limit:    shownLimit(noLimit),
	}
	if s.why.retires() {
		shown.Replaces = s.why.String()
	}
	if s.sub.load == nil {
		return shown
	}
	since := s.since
	shown.Connected, shown.LastUse = &since, s.lastUse(cfg, now)
	shown.Address = s.won().addr.Addr
	shown.Started = s.sub.load.Starts()
	shown.Limit = shownLimit(s.limit)
	shown.Suspect = s.doubted
	if s.phase == draining {
		shown.Retired = s.went.String()
	} else if end, ends := s.lifeEnds(cfg); ends {
		shown.EndOfLife = &end
	}
	return shown
}

// lastUse is when the connection was last seen in use, to within a sample; nil if that is
// not known, for idleTimeout is off and nobody looks.
func (s *slot) lastUse(cfg *config.Config, now time.Time) *time.Time {
	used := s.used
	switch {
	case s.inFlight() > 0:
		used = now
	case cfg.IdleTimeout == 0:
		return nil
	case s.phase != draining && s.sub.load.Starts() != s.runs:
		used = now
	}
	return &used
}
