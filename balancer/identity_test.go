package balancer

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/resolver"
)

func TestAnEndpointIsKnownByItsAddresses(t *testing.T) {
	type addrs []resolver.Address
	viaA := resolver.Address{Addr: "proxy:3128", Attributes: attributes.New("connect", "a:1")}
	viaB := resolver.Address{Addr: "proxy:3128", Attributes: attributes.New("connect", "b:1")}
	for _, c := range []struct {
		name string
		a, b addrs
		same bool
	}{
		{"the same", addrs{{Addr: "a:1"}}, addrs{{Addr: "a:1"}}, true},
		{"in another order", addrs{{Addr: "a:1"}, {Addr: "b:1"}}, addrs{{Addr: "b:1"}, {Addr: "a:1"}}, true},
		{"one more", addrs{{Addr: "a:1"}}, addrs{{Addr: "a:1"}, {Addr: "b:1"}}, false},
		{"one twice", addrs{{Addr: "a:1"}, {Addr: "a:1"}}, addrs{{Addr: "a:1"}, {Addr: "b:1"}}, false},
		{"another TLS name", addrs{{Addr: "a:1", ServerName: "a"}}, addrs{{Addr: "a:1", ServerName: "b"}}, false},
		{"behind the same proxy", addrs{viaA}, addrs{viaB}, false},
		{"the same behind a proxy", addrs{viaA}, addrs{{Addr: viaA.Addr, Attributes: attributes.New("connect", "a:1")}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := resolver.Endpoint{Addresses: c.a}, resolver.Endpoint{Addresses: c.b}
			require.Equal(t, c.same, sameEndpoint(a, b))
			require.Equal(t, c.same, sameEndpoint(b, a))
			if c.same {
				require.Equal(t, endpointKey(a), endpointKey(b), "or nobody would compare them")
			}
		})
	}
}
