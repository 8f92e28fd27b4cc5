package balancer

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/grpc/resolver"
)

// sameEndpoint reports whether two endpoints lead to the same place by the same
// addresses, in any order. Behind a proxy all share the proxy's Addr and differ
// only in Attributes, so these count.
func sameEndpoint(a, b resolver.Endpoint) bool {
	if len(a.Addresses) != len(b.Addresses) {
		return false
	}
	rest := slices.Clone(b.Addresses)
	for _, addr := range a.Addresses {
		i := slices.IndexFunc(rest, func(o resolver.Address) bool {
			return addr.Addr == o.Addr && addr.ServerName == o.ServerName && addr.Attributes.Equal(o.Attributes)
		})
		if i < 0 {
			return false
		}
		rest = slices.Delete(rest, i, i+1)
	}
	return true
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
