package balancer_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// channelOf is a channel to the target that r resolves, until the test ends.
func channelOf(t *testing.T, s *harness.Server, r *manual.Resolver, serviceConfig string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient("test:///", s.DialOptions(serviceConfig, append(opts, grpc.WithResolvers(r))...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// resolverOf resolves test:/// to these addresses.
func resolverOf(addrs ...string) *manual.Resolver {
	r := manual.NewBuilderWithScheme("test")
	r.InitialState(addresses(addrs...))
	return r
}

func addresses(addrs ...string) (s resolver.State) {
	for _, a := range addrs {
		s.Addresses = append(s.Addresses, resolver.Address{Addr: a})
	}
	return s
}

// alternatives are the addresses of one endpoint.
func alternatives(addrs ...string) resolver.State {
	return resolver.State{Endpoints: []resolver.Endpoint{{Addresses: addresses(addrs...).Addresses}}}
}

// withConfig is the address a:1 and a service config of the policy.
func withConfig(r *manual.Resolver, settings string) resolver.State {
	s := addresses("a:1")
	s.ServiceConfig = r.CC().ParseServiceConfig(harness.Policy(settings))
	return s
}

func countTo(n *int) func(resolver.ResolveNowOptions) {
	return func(resolver.ResolveNowOptions) { *n++ }
}
