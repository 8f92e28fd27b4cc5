package balancer

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/grpc/resolver"
)

// sameEndpoint reports whether two endpoints lead to the same place by the same
// addresses, in any order.
func sameEndpoint(a, b resolver.Endpoint) bool {
	_, same := inOrderOf(a.Addresses, b.Addresses)
	return same
}

// inOrderOf returns addrs in the order of others; ok is false if these are not the same.
// What does not count, BalancerAttributes, is as addrs have it.
func inOrderOf(others, addrs []resolver.Address) (ordered []resolver.Address, ok bool) {
	rest := slices.Clone(addrs)
	for _, o := range others {
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

// endpointKey is equal for equal endpoints; it spares comparing each with each.
func endpointKey(e resolver.Endpoint) string {
	addrs := slices.Clone(e.Addresses)
	slices.SortFunc(addrs, func(a, b resolver.Address) int {
		return cmp.Or(strings.Compare(a.Addr, b.Addr), strings.Compare(a.ServerName, b.ServerName))
	})
	var key strings.Builder
	for _, a := range addrs {
		key.WriteString(a.Addr + "\x00" + a.ServerName + "\x00")
	}
	return key.String()
}
