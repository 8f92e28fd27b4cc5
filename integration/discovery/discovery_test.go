package discovery

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/v3/naming/resolver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	grpcresolver "google.golang.org/grpc/resolver"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/integration/internal/load"
	"github.com/grpc-subpool/subpool/internal/harness"
)

const size = 4

func call(cc grpc.ClientConnInterface) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(ctx, &grpc_testing.Empty{})
		return err
	}
}

// slowly takes 20 ms, and one time in a thousand longer than a connection stays open that
// was shut down too early.
func slowly(context.Context, int) error {
	takes := 20 * time.Millisecond
	if rand.IntN(1000) == 0 {
		takes = 1200 * time.Millisecond
	}
	time.Sleep(takes)
	return nil
}

// A rolling deployment of a service of three: each server is replaced by a new one
// that is registered first. The old one is removed from etcd and stops, in this order;
// every other time it does not even wait until its client knows of it.
func TestNoRPCFailsWhileServersComeAndGoInEtcd(t *testing.T) {
	etcd := newEtcdClient(t, startEtcd(t))
	builder, err := resolver.NewBuilder(etcd)
	require.NoError(t, err)
	grpcresolver.Register(builder) // a nested target sees registered schemes only
	for _, c := range []struct{ name, target, serviceConfig string }{
		{"by service config", "etcd:///" + service, harness.Policy(`{"size":4,"maxLifetime":"0.5s"}`)},
		{"by target", "subpool:///etcd:///" + service + "?size=4&maxLifetime=0.5s", `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRegistry(t, etcd)
			servers := []*harness.Server{r.start(slowly), r.start(slowly), r.start(slowly)}
			cc, err := grpc.NewClient(c.target,
				grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithDefaultServiceConfig(c.serviceConfig))
			require.NoError(t, err)
			t.Cleanup(func() { _ = cc.Close() })

			calls := load.Start(t, 96, 30*time.Second, call(cc))
			const replaced = 3
			made := 0
			for i := range replaced {
				old := servers[0]
				until(t, func() bool { return old.Accepted() >= 2*size }) // recycled at least once
				servers = append(servers[1:], r.start(slowly))
				until(t, func() bool { return inUse(servers) })
				r.remove(old)
				if i%2 == 0 {
					until(t, func() bool { return old.Open() == 0 })
				}
				old.GracefulStop()
				made += old.Accepted()
			}
			shares := share(t, servers)
			rpcs := calls.Stop()
			require.Empty(t, rpcs.Errors)
			until(t, func() bool { return !slices.ContainsFunc(servers, isNot(size)) })
			for i, s := range servers {
				require.InDelta(t, 1.0/3, shares[i], 0.1, "the share of server %d", i)
				made += s.Accepted()
				r.remove(s)
			}
			t.Logf("discovery %s: %s while %d servers were replaced by new ones; %d connections made, in the end %d to each; the last three servers got %.0f, %.0f, %.0f %% of the RPCs",
				c.name, rpcs, replaced, made, size, 100*shares[0], 100*shares[1], 100*shares[2])
		})
	}
}

// until waits for what will be so; a minute is for ever.
func until(t *testing.T, is func() bool) {
	t.Helper()
	require.Eventually(t, is, time.Minute, time.Millisecond)
}

// inUse tells whether each server gets RPCs on as many connections as the policy says.
func inUse(servers []*harness.Server) bool {
	return !slices.ContainsFunc(servers, func(s *harness.Server) bool { return len(s.Calls()) < size })
}

// isNot tells whether a server has not this many connections: none that drains either.
func isNot(conns int) func(*harness.Server) bool {
	return func(s *harness.Server) bool { return s.Open() != conns }
}

// share counts which part of the next RPCs each server gets.
func share(t *testing.T, servers []*harness.Server) []float64 {
	t.Helper()
	const enough = 3000
	for _, s := range servers {
		s.ResetCalls()
	}
	count := func(s *harness.Server) (n int) {
		for _, calls := range s.Calls() {
			n += calls
		}
		return n
	}
	all := func() (n int) {
		for _, s := range servers {
			n += count(s)
		}
		return n
	}
	until(t, func() bool { return all() >= enough })
	var shares []float64
	total := float64(all())
	for _, s := range servers {
		shares = append(shares, float64(count(s))/total)
	}
	return shares
}
