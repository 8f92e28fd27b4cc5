package balancer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/experimental/stats"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/load"
	"github.com/grpc-subpool/subpool/internal/registry"
	"github.com/grpc-subpool/subpool/internal/settings"
)

// A pool is the policy of one channel: the shell around the life cycles of its endpoints.
//
// Every entry is the same: lock, tell the endpoints what happened, reconcile, unlock.
type pool struct {
	channel
	unregister func()

	unresponsiveAfter atomic.Int64 // UnresponsiveTimeout, for Done

	// mu is held across calls into gRPC, so that these are ordered: of two goroutines that
	// publish, the one that knows more comes last. The locks that gRPC and parent policies
	// hold when they call a listener or Close are taken before mu; those that the pool's own
	// calls take (of the channel, of a SubConn) after it. Pick and Done run under the
	// latter, so they must not take mu: they set atomics, and wake the pool by a signal.
	mu sync.Mutex
	configured
	endpoints endpoints
	waiters   *load.Waiters
	signals   signals
	told      newsStack
	schedule  schedule
	dials     dials
	failure   failure
	published published
	leftovers leftovers
	records
	closed bool
}

// configured is what the resolver and the service config say.
type configured struct {
	cfg     *config.Config // nil before the resolver has answered
	ignored []string       // settings that were given and are not known
}

// records are what the pool keeps only to show it: in metrics, the log and the snapshot.
type records struct {
	counters  counters
	reported  reported
	decisions decisionLog
}

// channel is what a pool knows of its channel.
type channel struct {
	cc       balancer.ClientConn
	opts     balancer.BuildOptions
	target   string
	recorder stats.MetricsRecorder
	since    time.Time
}

// failure is why RPCs fail while no connection is there.
type failure struct {
	connection error // of the last attempt that failed
	resolver   error // nil after a good answer
}

func newPool(cc balancer.ClientConn, opts balancer.BuildOptions) *pool {
	target := settings.HideUserinfo(opts.Target.String())
	p := &pool{
		channel:   channel{cc, opts, target, cc.MetricsRecorder(), time.Now()},
		endpoints: newEndpoints(),
		published: published{state: connectivity.Idle},
	}
	p.signals.init(p.wake)
	p.waiters = load.NewWaiters(load.Signals{
		Changed: p.signals.changed.raise, Demand: p.signals.demand.raise, Full: p.signals.full.raise,
		Waited: func(d time.Duration) { waitMetric.Record(p.recorder, d.Seconds(), p.target) },
	})
	p.counters.limit = noLimit
	p.schedule.timer = time.AfterFunc(time.Hour, p.wake)
	p.schedule.timer.Stop()
	unregister, stop := registry.Register(target, p), p.reportGauges()
	p.unregister = func() { stop(); unregister() }
	return p
}

// UpdateClientConnState takes the resolver's endpoints and the settings.
func (p *pool) UpdateClientConnState(s balancer.ClientConnState) error {
	lb, ok := s.BalancerConfig.(*lbConfig)
	if !ok {
		return fmt.Errorf("subpool: %s: got a %T as its settings", p.target, s.BalancerConfig)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	now, cfg := time.Now(), &lb.Config
	if p.cfg != nil && *p.cfg != *cfg {
		p.decideLocked(now, decision{what: "settings", why: "new settings: " + settings.Diff(*p.cfg, *cfg)})
	}
	if !slices.Equal(p.ignored, lb.ignored) && len(lb.ignored) > 0 {
		p.decideLocked(now, decision{what: "settings", why: "unknown settings are ignored: " + strings.Join(lb.ignored, ", "), warn: true})
	}
	p.cfg, p.ignored, p.failure.resolver = cfg, lb.ignored, nil
	p.unresponsiveAfter.Store(int64(cfg.UnresponsiveTimeout))
	p.schedule.nextResolve = time.Time{}
	p.setEndpointsLocked(s.ResolverState.Endpoints, now)
	if !p.hasEndpointLocked() {
		p.failure.resolver = errors.New("produced zero addresses")
	}
	p.reconcileLocked(now)
	if p.failure.resolver != nil {
		return balancer.ErrBadResolverState
	}
	return nil
}

// ResolverError keeps what is there; with nothing there it is why RPCs fail.
func (p *pool) ResolverError(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure.resolver = err
	p.reconcileLocked(time.Now())
}

// UpdateSubConnState is never called: each SubConn has a listener.
func (p *pool) UpdateSubConnState(balancer.SubConn, balancer.SubConnState) {}

// subConnChanged is the listener of the SubConn to one address of s.
func (p *pool) subConnChanged(s *subchannel, address int, sub *subConn, st balancer.SubConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || s.subConns[address] != sub {
		return // it is shut down already
	}
	now, e := time.Now(), s.endpoint
	known := false
	switch st.ConnectivityState {
	case connectivity.Ready:
		if e.Connected(s.Subchannel, address, now) {
			p.connectedLocked(s)
		}
	case connectivity.TransientFailure:
		if e.Failed(s.Subchannel, address, fmt.Sprint(st.ConnectionError)) {
			p.failure.connection = st.ConnectionError
		}
	case connectivity.Connecting, connectivity.Shutdown:
		known = true
	case connectivity.Idle:
		transport := sub.observer.Conn()
		sub.observer.Forget()
		if !e.BackoffOver(s.Subchannel, address) {
			p.lostLocked(s, address, transport, now)
		}
	}
	if logger.V(2) {
		logger.Infof("subpool: %s: subchannel %d is now %v (gRPC says %v of %s)", p.labelLocked(), s.ID(), s.Phase(), st.ConnectivityState, sub.addr.Addr)
	}
	if !known {
		p.endpoints.mark(e)
		p.reconcileLocked(now)
	}
}
