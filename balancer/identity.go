package balancer

import (
	"slices"

	"google.golang.org/grpc/resolver"
)

// endpointSearch finds endpoints of an update. Most updates list them in the order in which they
// are known, with a few that came or went.
type endpointSearch struct {
	list  []*endpoint
	next  int                    // that is likely to be listed next
	known map[string][]*endpoint // by leastAddr; nil until one is listed out of order
}

func (x *endpointSearch) find(addr resolver.Endpoint) *endpoint {
	for i := x.next; i < min(x.next+2, len(x.list)); i++ {
		if sameEndpoint(x.list[i].addr, addr) {
			x.next = i + 1
			return x.list[i]
		}
	}
	if x.known == nil {
		x.known = make(map[string][]*endpoint, len(x.list))
		for _, e := range x.list {
			x.add(e)
		}
	}
	same := x.known[leastAddr(addr)]
	if i := slices.IndexFunc(same, func(e *endpoint) bool { return sameEndpoint(e.addr, addr) }); i >= 0 {
		return same[i]
	}
	return nil
}

// add adds an endpoint that was not known.
func (x *endpointSearch) add(e *endpoint) {
	key := leastAddr(e.addr)
	x.known[key] = append(x.known[key], e)
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
