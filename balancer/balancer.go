package balancer

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/picker"
)

// A pool is the policy of one channel: the shell around its endpoints.
//
// Every entry is the same: lock, feed what happened to the pure rooms, settle,
// unlock.
type pool struct {
	cc     balancer.ClientConn
	target string

	// mu is held across calls into gRPC, so that these are ordered: of two
	// goroutines that publish, the later facts win. The locks that gRPC and
	// parent policies hold when they call a listener or Close come before mu;
	// those that the pool's own calls take (of the channel, of a SubConn) come
	// after it. Pick and Done run under the latter, so they must not take mu:
	// they touch atomics, and wake the pool by signals.
	mu          sync.Mutex
	cfg         *config.Config
	endpoints   []*endpointOf
	limit       int         // of streams per connection, of the server; nothing tells it yet
	gate        picker.Gate // what the connections share
	lastOrder   int
	warnedSize  bool
	connErr     error // of the last attempt that failed
	resolverErr error // nil after a good answer
	published   *publication
	timer       *time.Timer
	closed      bool

	empty       signal    // a draining connection may be empty
	pressure    signal    // a connection carries so much that the pool may have to grow
	room        signal    // held RPCs may find a place
	health      signal    // a connection's health changed
	roused      signal    // somebody wants a pool that sleeps
	nextCheck   time.Time // no look at the pressure before
	nextSample  time.Time // of demand
	nextRelease time.Time // of held RPCs, when places came free; zero if none did
	nextAsk     time.Time // of the resolver; zero if it is not asked

	shutdowns sync.WaitGroup // SubConn.Shutdown may wait for a dark connection
}

// endpointOf is an endpoint with the address that it stands for.
type endpointOf struct {
	endpoint
	addr resolver.Endpoint
}

func newPool(cc balancer.ClientConn, target string) *pool {
	p := &pool{cc: cc, target: target, limit: noLimit}
	for _, s := range []*signal{&p.empty, &p.pressure, &p.room, &p.health, &p.roused} {
		s.wake = p.wake
	}
	p.gate.Empty, p.gate.Pressure, p.gate.Room = p.empty.raise, p.pressure.raise, p.room.raise
	p.roused.raised.Store(true) // a new pool is wanted
	p.timer = time.AfterFunc(time.Hour, p.wake)
	p.timer.Stop()
	return p
}

// UpdateClientConnState takes the resolver's endpoints and the settings.
func (p *pool) UpdateClientConnState(s balancer.ClientConnState) error {
	cfg, ok := s.BalancerConfig.(*config.Config)
	if !ok {
		return fmt.Errorf("subpool: %s: got a %T as its settings", p.target, s.BalancerConfig)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.cfg, p.resolverErr = cfg, nil
	p.nextAsk, p.nextSample = time.Time{}, time.Time{} // new settings, new times
	p.setEndpointsLocked(s.ResolverState.Endpoints)
	if !p.hasEndpointLocked() {
		p.resolverErr = errors.New("the resolver gave no addresses")
	}
	p.settleLocked(time.Now())
	if p.resolverErr != nil {
		return balancer.ErrBadResolverState
	}
	return nil
}

// ResolverError keeps what is there; with nothing there it is why RPCs fail.
func (p *pool) ResolverError(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resolverErr = err
	p.settleLocked(time.Now())
}

// UpdateSubConnState is never called: each SubConn has a listener.
func (p *pool) UpdateSubConnState(balancer.SubConn, balancer.SubConnState) {}

// subConnChanged is the listener of the SubConn to one address of s.
func (p *pool) subConnChanged(s *slot, lane int, line *lineOf, st balancer.SubConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || s.sub.lanes[lane] != line {
		return // news of what is shut down already
	}
	now, e := time.Now(), s.sub.owner
	switch st.ConnectivityState {
	case connectivity.Ready:
		if e.up(s, lane, now) {
			s.connect(&p.gate)
			s.watchHealth(p.health.raise)
		}
	case connectivity.TransientFailure:
		if e.fail(s, lane) {
			p.connErr = st.ConnectionError
		}
	case connectivity.Idle:
		if e.rest(s, lane) {
			break
		}
		if e.lost(s, lane, now) {
			p.connErr = errFlapped
		}
		if !s.connected() {
			s.sub.disconnect()
		}
	}
	if logger.V(2) {
		logger.Infof("subpool: %s: subchannel %d is now %v (gRPC says %v of %s)", p.target, s.order, s.phase, st.ConnectivityState, line.addr.Addr)
	}
	p.settleLocked(now)
}

var errFlapped = fmt.Errorf("the server closed the connection within %v of accepting it", provenAfter)

// Close ends the pool. gRPC then closes the connections with the channel; if only
// the policy changed, open streams finish.
func (p *pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.timer.Stop()
	for _, e := range p.endpoints {
		for _, s := range slices.Concat(e.slots, e.leaving) {
			p.shutdownLocked(s, nil)
		}
	}
	p.mu.Unlock()
	p.shutdowns.Wait()
}
