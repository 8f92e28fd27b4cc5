package picker_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/grpc-subpool/subpool/internal/harness"
	"github.com/grpc-subpool/subpool/picker"
)

// The pickers need no subpool: gRPC's own base balancer takes them too.
func init() {
	balancer.Register(base.NewBalancerBuilder("plain_least", picker.Builder(picker.LeastInFlight), base.Config{}))
	balancer.Register(base.NewBalancerBuilder("plain_round", picker.Builder(picker.RoundRobin), base.Config{}))
}

// plainChannel connects to n addresses of s, which differ, or the base balancer
// would make one connection of them.
func plainChannel(t *testing.T, s *harness.Server, policy string, n int) grpc_testing.TestServiceClient {
	addresses := make([]resolver.Address, n)
	for i := range addresses {
		addresses[i].Addr = fmt.Sprint("server:", i)
	}
	r := manual.NewBuilderWithScheme("plain")
	r.InitialState(resolver.State{Addresses: addresses})
	config := fmt.Sprintf(`{"loadBalancingConfig":[{%q:{}}]}`, policy)
	cc, err := grpc.NewClient("plain:///", s.DialOptions(config, grpc.WithResolvers(r))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	cc.Connect()
	synctest.Wait()
	return grpc_testing.NewTestServiceClient(cc)
}

// That least_in_flight leaves one of four out by chance: 4 × (3/4)^400.
func TestUnderAPlainBalancerRPCsSpreadOverAllConnections(t *testing.T) {
	for _, policy := range []string{"plain_least", "plain_round"} {
		t.Run(policy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := harness.Start(t, harness.Options{})
				client := plainChannel(t, s, policy, 4)
				for range 400 {
					_, err := client.EmptyCall(t.Context(), &grpc_testing.Empty{})
					require.NoError(t, err)
				}
				assert.Equal(t, 4, s.Dials())
				assert.Len(t, s.Calls(), 4)
			})
		})
	}
}

// Held RPCs must find the free connection. Drawn at random, without counting,
// the second would join the first every second time.
func TestUnderAPlainBalancerTheFreeConnectionIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := harness.Start(t, harness.Options{Handle: func(context.Context, int) error {
			<-release
			return nil
		}})
		client := plainChannel(t, s, "plain_least", 2)
		for range 40 {
			go func() { _, _ = client.EmptyCall(t.Context(), &grpc_testing.Empty{}) }()
			synctest.Wait()
		}
		for conn, calls := range s.Calls() {
			assert.Equal(t, 20, calls, "connection %d", conn)
		}
		close(release)
		synctest.Wait()
	})
}
