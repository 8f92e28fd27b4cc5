package balancer

import (
	"fmt"
	"slices"
	"time"
	"weak"

	"google.golang.org/grpc/balancer"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/h2conn"
	"github.com/grpc-subpool/subpool/internal/lifecycle"
	"github.com/grpc-subpool/subpool/internal/witness"
)

// Snapshot implements registry.Source.
func (p *pool) Snapshot() (inspect.Pool, bool) {
	shown, transports, ok := p.snapshot()
	for _, t := range transports { // what the system is asked for is asked without the lock
		t.show()
	}
	return shown, ok
}

func (p *pool) snapshot() (shown inspect.Pool, transports []shownTransport, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return shown, nil, false
	}
	shown = p.snapshotLocked(time.Now())
	for i := range p.endpoints.list {
		for j := range shown.Endpoints[i].Subchannels {
			s := &shown.Endpoints[i].Subchannels[j]
			if sub := p.endpoints.byID[lifecycle.ID(s.ID)]; sub != nil && sub.conn != nil {
				transports = append(transports, shownTransport{&s.Transport, sub.conn.transport, sub.conn.subConn.sc, &s.ChannelzID})
			}
		}
	}
	for i, c := range p.leftovers.lingering {
		transports = append(transports, shownTransport{Transport: &shown.Lingering[i].Transport, conn: c.transport})
	}
	return shown, transports, true
}

// channelzID is gRPC's number of a SubConn, by which it logs. Only its text has it; 0 if a
// parent policy has put another in its place.
func channelzID(sc balancer.SubConn) (id int64) {
	if _, err := fmt.Sscanf(fmt.Sprint(sc), "SubConn(id:%d)", &id); err != nil {
		return 0
	}
	return id
}

// A shownTransport is a connection in a snapshot.
type shownTransport struct {
	*inspect.Transport
	conn *h2conn.Conn // may be nil

	subConn    balancer.SubConn // nil where the connection lingers
	channelzID *int64
}

// show fills in what gRPC, the connection and the system know.
func (t shownTransport) show() {
	if t.subConn != nil {
		*t.channelzID = channelzID(t.subConn)
	}
	if t.conn == nil {
		return
	}
	t.Local, t.Remote = t.conn.LocalAddr().String(), t.conn.RemoteAddr().String()
	if g := t.conn.GoAway(); g != nil {
		t.GoAway = g.String()
	}
	if tcp, ok := t.conn.TCP(); ok {
		t.TCP = (*inspect.TCP)(&tcp)
	}
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
	p.countFullLocked()
	shown := inspect.Pool{
		Target:    p.target,
		State:     p.published.state.String(),
		Error:     p.published.err,
		At:        now,
		Since:     p.since,
		Ignored:   slices.Clone(p.ignored),
		Settings:  config.Default(), // until the resolver has answered
		Endpoints: []inspect.Endpoint{},
		Totals:    p.counters.totals(),
		Decisions: p.decisions.all(),
	}
	if p.cfg != nil {
		shown.Settings, shown.Name = *p.cfg, p.cfg.Name
	}
	for _, e := range p.endpoints.list {
		shown.Endpoints = append(shown.Endpoints, e.Snapshot())
	}
	for _, c := range p.leftovers.lingering {
		shown.Lingering = append(shown.Lingering, inspect.Lingering{Since: c.drainingAt, InFlight: c.load.InFlight()})
	}
	shown.Held, shown.Queued = p.waiters.Held(), p.queuedLocked() // after those in flight
	shown.Totals.WaitSeconds = p.waiters.WaitedFor().Seconds()
	if shown.Error == "" && p.failure.connection != nil && p.endpoints.sum.phases[lifecycle.Backoff] > 0 {
		shown.Error = p.errorLocked().Error()
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
