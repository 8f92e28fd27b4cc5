package balancer

import (
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/experimental/stats"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/h2conn"
	"github.com/grpc-subpool/subpool/internal/load"
	"github.com/grpc-subpool/subpool/internal/registry"
	"github.com/grpc-subpool/subpool/internal/settings"
)

// A pool is the policy of one channel: the shell around its endpoints.
//
// Every entry is the same: lock, feed what happened to the pure rooms, settle,
// unlock.
type pool struct {
	cc       balancer.ClientConn
	opts     balancer.BuildOptions
	target   string
	recorder stats.MetricsRecorder
	since    time.Time
	unlist   func() // from the pools that can be inspected

	// mu is held across calls into gRPC, so that these are ordered: of two
	// goroutines that publish, the later facts win. The locks that gRPC and
	// parent policies hold when they call a listener or Close come before mu;
	// those that the pool's own calls take (of the channel, of a SubConn) come
	// after it. Pick and Done run under the latter, so they must not take mu:
	// they touch atomics, and wake the pool by signals.
	mu          sync.Mutex
	cfg         *config.Config
	endpoints   []*endpointOf
	waiters     *load.Waiters // what the connections share
	lastOrder   int
	warnedSize  bool
	connErr     error // of the last attempt that failed
	resolverErr error // nil after a good answer
	published   *publication
	timer       *time.Timer
	closed      bool
	former      []connection   // those that carry RPCs, and are nobody's any more
	closing     []*h2conn.Conn // those that gRPC was told to close
	report      report
	trace       trace

	silenceAfter atomic.Int64 // unresponsiveTimeout, for Done

	news        signal    // something changed: a connection may be empty or healthy, or answers nothing, held RPCs may find a place
	pressure    signal    // a connection carries so much that the pool may have to grow
	roused      signal    // somebody wants a pool that sleeps
	full        signal    // RPCs were queued or refused
	nextCheck   time.Time // no look at the pressure before
	nextSample  time.Time // of demand
	nextRelease time.Time // of held RPCs, when places came free; zero if none did
	heldSince   time.Time // when RPCs were first seen to be held by the present picker; or zero
	recount     bool      // they must pick again, so that those that are gone do not count
	nextAsk     time.Time // of the resolver; zero if it is not asked

	shutdowns sync.WaitGroup // SubConn.Shutdown may wait for a dark connection
}

// endpointOf is an endpoint with the address that it stands for.
type endpointOf struct {
	endpoint
	addr    resolver.Endpoint
	goAways load.GoAways

	goAwaysSeen uint32
	freshUntil  time.Time // the window of goAways is closed then; or zero
}

func newPool(cc balancer.ClientConn, opts balancer.BuildOptions) *pool {
	target := userInfo.ReplaceAllString(opts.Target.String(), "://…@")
	p := &pool{cc: cc, opts: opts, target: target, recorder: cc.MetricsRecorder(), since: time.Now(), published: &publication{state: connectivity.Idle}}
	for _, s := range []*signal{&p.news, &p.pressure, &p.roused, &p.full} {
		s.wake = p.wake
	}
	p.waiters = load.NewWaiters(load.Signals{Changed: p.news.raise, Demand: p.pressure.raise, Full: p.full.raise})
	p.report.limit = noLimit
	p.roused.raised.Store(true) // a new pool is wanted
	p.timer = time.AfterFunc(time.Hour, p.wake)
	p.timer.Stop()
	p.unlist = registry.Register(p)
	return p
}

// userInfo is what a target that is nested in ours may have before its host, a
// password even. Elsewhere gRPC leaves it out.
var userInfo = regexp.MustCompile(`://[^/?#@]*@`)

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
	now := time.Now()
	if p.cfg != nil && *p.cfg != *cfg {
		p.noteLocked(now, note{what: "settings", why: "new settings: " + settings.Diff(*p.cfg, *cfg)})
	}
	p.cfg, p.resolverErr = cfg, nil
	p.silenceAfter.Store(int64(cfg.UnresponsiveTimeout))
	p.nextAsk, p.nextSample = time.Time{}, time.Time{} // new settings, new times
	p.setEndpointsLocked(s.ResolverState.Endpoints, now)
	if !p.hasEndpointLocked() {
		p.resolverErr = errors.New("produced zero addresses")
	}
	p.settleLocked(now)
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
			p.connectedLocked(s)
		}
	case connectivity.TransientFailure:
		if e.fail(s, lane) {
			p.noteFailureLocked(s, line.addr, st.ConnectionError, now)
		}
	case connectivity.Idle:
		w := line.observer.Conn()
		line.observer.Forget()
		if e.rest(s, lane) {
			break
		}
		s.endedBy(w)
		if e.lost(s, lane, now) {
			p.noteFailureLocked(s, line.addr, flapError(w), now)
		}
		if !s.connected() {
			if s.sub.load != nil && s.inFlight() == 0 && s.phase == idle {
				e.lostUnused()
			}
			p.disconnectLocked(s, now)
		}
	}
	if logger.V(2) {
		logger.Infof("subpool: %s: subchannel %d is now %v (gRPC says %v of %s)", p.target, s.order, s.phase, st.ConnectivityState, line.addr.Addr)
	}
	p.settleLocked(now)
}

// flapError says what became of a connection that did not prove itself; w may be nil.
func flapError(w *h2conn.Conn) error {
	if w != nil && w.GoAway() != nil {
		return fmt.Errorf("the server ended the connection within %v of accepting it: %v", provenAfter, w.GoAway())
	}
	return fmt.Errorf("the server closed the connection within %v of accepting it", provenAfter)
}
