package balancer

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/grpc-subpool/subpool/internal/harness"
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
				known := resolver.NewEndpointMap[bool]()
				known.Set(a, true)
				found, _ := known.Get(b)
				require.True(t, found, "or they would not be compared")
			}
		})
	}
}

type remark struct{}

func remarked(a resolver.Address, what string) resolver.Address {
	// It is how gRPC's xDS policies remark on addresses.
	a.BalancerAttributes = attributes.New(remark{}, what)
	return a
}

func remarkOf(a resolver.Address) any {
	return a.BalancerAttributes.Value(remark{})
}

// A control plane tells the parent policies which host an address stands for, and may
// change that.
//
// Guards: `inOrderOf(e.addr.Addresses, addr.Addresses)` in endpoint.list, called by
// setEndpointsLocked.
func TestLaterDialsHaveWhatTheResolverRemarksNow(t *testing.T) {
	parent := harness.Parent(t.Name())
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		r := manual.NewBuilderWithScheme("test")
		state := func(what string) resolver.State {
			b := remarked(resolver.Address{Addr: "b:1"}, what)
			return resolver.State{Endpoints: []resolver.Endpoint{{Addresses: []resolver.Address{b}}}}
		}
		r.InitialState(state("first"))
		cc, err := grpc.NewClient("test:///", s.DialOptions(parent.Policy(`{"subpool":{"size":2,"maxLifetime":"10s"}}`), grpc.WithResolvers(r))...)
		require.NoError(t, err)
		t.Cleanup(func() { _ = cc.Close() })
		cc.Connect()
		synctest.Wait()
		require.Equal(t, "first", remarkOf(parent.Addr()))
		r.UpdateState(state("second"))
		synctest.Wait()
		require.Equal(t, 2, s.Accepted(), "no reason to dial")
		time.Sleep(11 * time.Second)
		require.Equal(t, 4, s.Accepted())
		require.Equal(t, "second", remarkOf(parent.Addr()))
	})
}
