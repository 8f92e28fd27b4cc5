package balancer

import (
	"slices"
	"weak"

	"github.com/grpc-subpool/subpool/internal/witness"
)

// testimonyLocked is what tests may see of the pool.
func (p *pool) testimonyLocked() witness.Pool {
	seen := witness.Pool{Target: p.target, Endpoints: make([]witness.Endpoint, 0, len(p.endpoints)), Closing: len(p.closing)}
	for _, c := range p.former {
		seen.Lingering += c.load.InFlight()
	}
	for _, e := range p.endpoints {
		w := witness.Endpoint{
			ID: weak.Make(&e.endpoint), Addresses: addrsOf(e.addr), Removed: e.removed, Size: e.size(), MaxSize: e.cfg.MaxSize,
			Subchannels: len(e.slots), Ready: e.count(ready), Draining: len(e.leaving), Failures: e.failures,
			Urged: e.urged, Shown: e.budget(),
		}
		for _, s := range slices.Concat(e.slots, e.leaving) {
			w.InFlight += s.inFlight()
		}
		seen.Endpoints = append(seen.Endpoints, w)
	}
	return seen
}
