package balancer

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/witness"
)

// An instantConn is a channel whose SubConns are READY as soon as they are to connect.
type instantConn struct {
	silentConn
	ready []*instantSubConn
	calls sync.WaitGroup
}

func (*instantConn) UpdateState(balancer.State) {}

func (c *instantConn) NewSubConn(_ []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	return &instantSubConn{cc: c, listener: opts.StateListener}, nil
}

type instantSubConn struct {
	balancer.SubConn
	cc               *instantConn
	listener, health func(balancer.SubConnState)
}

// Connect runs under the pool's mutex, and the listener takes it.
func (s *instantSubConn) Connect() {
	s.cc.ready = append(s.cc.ready, s)
	s.cc.calls.Go(func() {
		s.listener(balancer.SubConnState{ConnectivityState: connectivity.Connecting})
		s.listener(balancer.SubConnState{ConnectivityState: connectivity.Ready})
	})
}

func (s *instantSubConn) RegisterHealthListener(health func(balancer.SubConnState)) {
	s.health = health
	health(balancer.SubConnState{ConnectivityState: connectivity.Ready})
}

func (*instantSubConn) Shutdown() {}

// BenchmarkLargePool times what a pool of 1,000 × 4 does under its mutex: for an update of the
// resolver, and for the news that the health of a connection has changed, which is published.
func BenchmarkLargePool(b *testing.B) {
	settled := witness.Settled
	witness.Settled = nil // it looks at all that there is
	b.Cleanup(func() { witness.Settled = settled })
	cc := new(instantConn)
	p := newPool(cc, balancer.BuildOptions{})
	b.Cleanup(p.Close)
	cfg := config.Default()
	cfg.MinSize, cfg.MaxSize = 4, 4
	var addrs []resolver.Endpoint
	addr := func() resolver.Endpoint {
		return resolver.Endpoint{Addresses: []resolver.Address{{Addr: fmt.Sprint("server-", len(addrs), "-", time.Now().UnixNano())}}}
	}
	for range 1000 {
		addrs = append(addrs, addr())
	}
	update := func() {
		s := balancer.ClientConnState{ResolverState: resolver.State{Endpoints: addrs}, BalancerConfig: &lbConfig{Config: cfg}}
		require.NoError(b, p.UpdateClientConnState(s))
	}
	update()
	rests := func() bool {
		cc.calls.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.endpoints.sum.ready) == 4000
	}
	require.Eventually(b, rests, time.Minute, 10*time.Millisecond)
	b.Run("one of the endpoints exchanged", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			addrs[i%len(addrs)] = addr()
			update()
			b.StopTimer()
			require.Eventually(b, rests, time.Minute, 10*time.Millisecond)
			b.StartTimer()
		}
	})
	b.Run("the same endpoints", func(b *testing.B) {
		for b.Loop() {
			update()
		}
	})
	b.Run("a health flip", func(b *testing.B) {
		well := false
		for i := 0; b.Loop(); i++ {
			st := balancer.SubConnState{ConnectivityState: connectivity.TransientFailure}
			if well {
				st.ConnectivityState = connectivity.Ready
			}
			cc.ready[len(cc.ready)-1-i/2%1000].health(st) // the first ones are gone
			p.mu.Lock()
			p.schedule.lastPublished = time.Time{} // the news do not wait for more
			p.mu.Unlock()
			p.wake()
			well = !well
		}
	})
}
