package balancer

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/credentials/insecure"
)

// capturing is the policy, and knows its pool.
type capturing struct {
	builder
	pool *pool
}

func (*capturing) Name() string { return "capturing" }

func (c *capturing) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	c.pool = newPool(cc, opts)
	return c.pool
}

// BenchmarkSnapshot times a snapshot of 1,000 subchannels on sockets, and the part of it that
// is under the mutex of the pool: what the system is asked for is not.
func BenchmarkSnapshot(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	server := grpc.NewServer()
	go func() { _ = server.Serve(l) }()
	b.Cleanup(server.Stop)
	policy := new(capturing)
	balancer.Register(policy)
	cc, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"capturing":{"size":1000}}]}`))
	require.NoError(b, err)
	b.Cleanup(func() { _ = cc.Close() })
	cc.Connect()
	require.Eventually(b, func() bool {
		if policy.pool == nil {
			return false
		}
		p, _ := policy.pool.Snapshot()
		return len(p.Endpoints) == 1 && len(p.Endpoints[0].Subchannels) == 1000 && p.Totals.Opened == 1000
	}, time.Minute, 10*time.Millisecond)
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			policy.pool.Snapshot()
		}
	})
	b.Run("under the mutex", func(b *testing.B) {
		for b.Loop() {
			policy.pool.snapshot()
		}
	})
}
