package balancer

import (
	"slices"
	"time"

	"google.golang.org/grpc/resolver"
)

// endpointSearch finds endpoints of an update. Most updates list them in the order in which they
// are known, and behind a proxy all have one address.
type endpointSearch struct {
	*endpoints
	next int // that is likely to be listed next
}

// find returns the endpoint of the pool that leads to the same place, or nil.
func (x *endpointSearch) find(addr resolver.Endpoint) *endpoint {
	for i := x.next; i < min(x.next+2, len(x.list)); i++ {
		if sameEndpoint(x.list[i].addr, addr) {
			x.next = i + 1
			return x.list[i]
		}
	}
	for _, e := range x.byAddr[leastAddr(addr)] {
		if sameEndpoint(e.addr, addr) {
			return e
		}
	}
	return nil
}

// add adds an endpoint that was not known.
func (x *endpoints) add(e *endpoint) {
	key := leastAddr(e.addr)
	x.list, x.byAddr[key] = append(x.list, e), append(x.byAddr[key], e)
}

// dropEnded forgets the endpoints of these of which nothing is left.
func (x *endpoints) dropEnded(step []*endpoint) {
	ended := func(e *endpoint) bool { return e.plan.Ended }
	if !slices.ContainsFunc(step, ended) {
		return
	}
	for _, e := range step {
		if !ended(e) {
			continue
		}
		x.deadlines.set(e, time.Time{})
		x.sum.add(&e.part, -1)
		e.part = part{}
		key := leastAddr(e.addr)
		if x.byAddr[key] = slices.DeleteFunc(x.byAddr[key], ended); len(x.byAddr[key]) == 0 {
			delete(x.byAddr, key)
		}
	}
	x.list = slices.DeleteFunc(x.list, ended)
	x.retrying = slices.DeleteFunc(x.retrying, ended)
}

// leastAddr is the same for endpoints that lead to the same place.
func leastAddr(e resolver.Endpoint) string {
	least := e.Addresses[0].Addr
	for _, a := range e.Addresses[1:] {
		least = min(least, a.Addr)
	}
	return least
}

// sameEndpoint reports whether two endpoints lead to the same place by the same
// addresses, in any order.
func sameEndpoint(a, b resolver.Endpoint) bool {
	_, same := inOrderOf(a.Addresses, b.Addresses)
	return same
}

// inOrderOf returns addrs in the order of known; ok is false if these are not the same.
// What does not count, BalancerAttributes, is as addrs have it.
func inOrderOf(known, addrs []resolver.Address) (ordered []resolver.Address, ok bool) {
	if slices.EqualFunc(known, addrs, sameAddress) {
		return addrs, true
	}
	rest := slices.Clone(addrs)
	for _, o := range known {
		i := slices.IndexFunc(rest, func(a resolver.Address) bool { return sameAddress(a, o) })
		if i < 0 {
			return nil, false
		}
		ordered = append(ordered, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return ordered, len(rest) == 0
}

// sameAddress reports whether two addresses are dialled in the same way. Behind a
// proxy all share the proxy's Addr and differ only in Attributes, so these count.
func sameAddress(a, b resolver.Address) bool {
	return a.Addr == b.Addr && a.ServerName == b.ServerName && a.Attributes.Equal(b.Attributes)
}
