package balancer

import (
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/config"
	poolresolver "github.com/grpc-subpool/subpool/resolver"
)

// setEndpointsLocked makes endpoints those of addrs: new ones are added, those
// that are missing only finish their RPCs, the others are not touched.
func (p *pool) setEndpointsLocked(addrs []resolver.Endpoint, now time.Time) {
	known, awake := make(map[string][]*endpointOf), false
	for _, e := range p.endpoints {
		known[endpointKey(e.addr)] = append(known[endpointKey(e.addr)], e)
		awake = awake || e.awake
	}
	listed := make(map[*endpointOf]bool)
	var added, removed []resolver.Endpoint
	for _, addr := range addrs {
		if len(addr.Addresses) == 0 {
			continue
		}
		key := endpointKey(addr)
		i := slices.IndexFunc(known[key], func(e *endpointOf) bool { return sameEndpoint(e.addr, addr) })
		if i >= 0 {
			// The order of the addresses stays: the lanes of the slots go by it. What
			// only the policies above read of them is for later dials.
			e := known[key][i]
			addr.Addresses, _ = inOrderOf(e.addr.Addresses, addr.Addresses)
			if !listed[e] || sizeOf(addr) > sizeOf(e.addr) { // listed twice, in any order
				e.addr = addr
			}
			listed[e] = true
			continue
		}
		e := &endpointOf{endpoint: endpoint{cfg: p.cfg, limit: noLimit, allows: noLimit, addresses: len(addr.Addresses), random: rand.Float64}, addr: addr}
		if awake {
			e.window.observe(1, p.cfg.IdleTimeout, now)
		}
		e.newSlot = func() *slot { return p.newSlotLocked(e) }
		known[key] = append(known[key], e)
		p.endpoints = append(p.endpoints, e)
		listed[e] = true
		added = append(added, addr)
	}
	for _, e := range p.endpoints {
		e.adopt(settingsOf(e.addr, p.cfg), now)
		switch {
		case e.removed && listed[e]:
			added = append(added, e.addr)
		case !e.removed && !listed[e]:
			removed = append(removed, e.addr)
		}
		e.removed = !listed[e]
	}
	p.noteEndpointsLocked("added", added, now)
	p.noteEndpointsLocked("removed", removed, now)
	p.warnOfSizeLocked()
}

func sizeOf(e resolver.Endpoint) int { n, _ := poolresolver.Size(e); return n }

// settingsOf returns the settings of an endpoint: the stamp of the resolver, if
// there is one, is its size.
func settingsOf(e resolver.Endpoint, cfg *config.Config) *config.Config {
	n, ok := poolresolver.Size(e)
	if !ok {
		return cfg
	}
	own := *cfg
	own.MinSize, own.MaxSize = n, n
	return &own
}

// warnOfSizeLocked says once that the sizes of all endpoints come to very much.
func (p *pool) warnOfSizeLocked() {
	endpoints, most, all := 0, 0, 0
	for _, e := range p.endpoints {
		if !e.removed {
			endpoints++
			most, all = max(most, e.cfg.MaxSize), all+e.cfg.MaxSize
		}
	}
	if all > config.MaxSubchannels && !p.warnedSize {
		p.warnedSize = true
		logger.Warningf("subpool: %s: %d endpoints with up to %d subchannels each may make %d connections", p.target, endpoints, most, all)
	}
}

func (p *pool) hasEndpointLocked() bool {
	return slices.ContainsFunc(p.endpoints, func(e *endpointOf) bool { return !e.removed })
}

func (p *pool) newSlotLocked(e *endpointOf) *slot {
	p.lastOrder++
	return &slot{order: p.lastOrder, sub: subchannel{owner: e}}
}
