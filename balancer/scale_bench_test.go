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

// A largePool is one of so many endpoints with so many subchannels, all of which are READY.
type largePool struct {
	*pool
	cc    *instantConn
	cfg   config.Config
	addrs []resolver.Endpoint
	named int
}

func newLargePool(b *testing.B, endpoints, size int) *largePool {
	settled := witness.Settled
	witness.Settled = nil // it looks at all that there is
	p := &largePool{cc: new(instantConn), cfg: config.Default()}
	p.pool = newPool(p.cc, balancer.BuildOptions{})
	b.Cleanup(func() {
		p.Close()
		witness.Settled = settled
	})
	p.cfg.MinSize, p.cfg.MaxSize = size, size
	for range endpoints {
		p.addrs = append(p.addrs, p.addr())
	}
	p.update(b)
	p.rest(b)
	return p
}

// addr is another one each time.
func (p *largePool) addr() resolver.Endpoint {
	p.named++
	return resolver.Endpoint{Addresses: []resolver.Address{{Addr: fmt.Sprint("server-", p.named)}}}
}

func (p *largePool) update(b *testing.B) {
	s := balancer.ClientConnState{ResolverState: resolver.State{Endpoints: p.addrs}, BalancerConfig: &lbConfig{Config: p.cfg}}
	require.NoError(b, p.UpdateClientConnState(s))
}

// rest waits until all are READY.
func (p *largePool) rest(b *testing.B) {
	require.Eventually(b, func() bool {
		p.cc.calls.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.endpoints.sum.ready) == len(p.addrs)*p.cfg.MaxSize
	}, time.Minute, 10*time.Millisecond)
}

// flip changes the health of a connection, and takes the news, which do not wait for more.
func (p *largePool) flip(s *instantSubConn, state connectivity.State) {
	s.health(balancer.SubConnState{ConnectivityState: state})
	p.mu.Lock()
	p.schedule.lastPublished = time.Time{}
	p.mu.Unlock()
	p.wake()
}

// BenchmarkLargePool times what a large pool does under its mutex: for an update of the
// resolver, and for the news that the health of a connection has changed, which is published.
func BenchmarkLargePool(b *testing.B) {
	for _, shape := range [][2]int{{1000, 4}, {1, 1024}} {
		b.Run(fmt.Sprintf("%d × %d", shape[0], shape[1]), func(b *testing.B) {
			p := newLargePool(b, shape[0], shape[1])
			b.Run("one of the endpoints exchanged", func(b *testing.B) {
				if shape[0] == 1 {
					b.Skip("that is all of them")
				}
				for i := 0; b.Loop(); i++ {
					p.addrs[i%len(p.addrs)] = p.addr()
					p.update(b)
					b.StopTimer()
					p.rest(b)
					b.StartTimer()
				}
			})
			b.Run("the same endpoints", func(b *testing.B) {
				for b.Loop() {
					p.update(b)
				}
			})
			b.Run("a health flip", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					s := p.cc.ready[len(p.cc.ready)-1-i/2%(shape[0]*shape[1]/4)] // the first ones are gone
					p.flip(s, [...]connectivity.State{connectivity.TransientFailure, connectivity.Ready}[i%2])
				}
			})
		})
	}
}
