package lifecycle

import (
	"cmp"
	"slices"

	"github.com/grpc-subpool/subpool/inspect"
)

// Snapshot shows the endpoint, with the facts that were last observed.
func (e *Endpoint) Snapshot() inspect.Endpoint {
	shown := inspect.Endpoint{
		Addresses:   slices.Clone(e.addresses),
		Removed:     e.removed,
		State:       e.State().String(),
		MinSize:     e.settings.MinSize,
		MaxSize:     e.settings.MaxSize,
		Wanted:      e.Size(),
		Missing:     e.Missing(),
		Demand:      e.demand.now,
		Peak:        e.demand.window.peak(),
		Limit:       ShownLimit(e.streamLimit.reported),
		Subchannels: []inspect.Subchannel{},
		Budget: inspect.Budget{
			Connections:     len(e.draining) + len(e.subchannels) - e.count(Idle, Backoff),
			MostConnections: e.settings.MaxSize + Budget(e.Size()) + len(e.draining),
			Draining:        len(e.draining),
		},
	}
	for s := range e.Subchannels() {
		shown.Subchannels = append(shown.Subchannels, e.subchannel(s))
	}
	slices.SortFunc(shown.Subchannels, func(a, b inspect.Subchannel) int { return cmp.Compare(a.ID, b.ID) })
	return shown
}

func (e *Endpoint) subchannel(s *Subchannel) inspect.Subchannel {
	shown := inspect.Subchannel{ID: int(s.id), State: s.phase.String(), Limit: ShownLimit(NoLimit)}
	if s.openedFor.Retires() {
		shown.Replaces = s.openedFor.String()
	}
	if s.conn == nil {
		return shown
	}
	c := *s.conn // the snapshot points into the copy
	shown.Address, shown.Connected, shown.Suspect = e.addresses[s.attempt.connected], &c.since, c.suspect()
	shown.InFlight, shown.Started, shown.Limit = c.facts.InFlight, c.facts.Started, ShownLimit(c.facts.Limit)
	shown.Failed = c.facts.Failed
	if e.settings.IdleTimeout > 0 || c.facts.InFlight > 0 { // else use is not sampled
		shown.LastUse = &c.lastUse
	}
	if s.phase == Draining {
		shown.Retired = c.retiredFor.String()
	} else if at, ends := c.endOfLife(e.settings); ends {
		shown.EndOfLife = &at
	}
	return shown
}

// ShownLimit is a limit as metrics and snapshots show it: -1 for NoLimit.
func ShownLimit(limit int) int {
	if limit == NoLimit {
		return -1
	}
	return limit
}
