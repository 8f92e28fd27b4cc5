package balancer

import (
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/internal/h2conn"
	"github.com/grpc-subpool/subpool/internal/load"
)

// A subchannel is what a slot has of gRPC.
type subchannel struct {
	owner   *endpointOf
	lanes   []*lineOf    // to each address; nil until it is dialled
	load    *load.Load   // of the connection; nil without one
	sampled int          // RPCs in flight when the demand was last sampled
	health  *healthNote  // of the connection
	conn    *h2conn.Conn // of the connection; nil if it was not wrapped
	silence *silence     // of the connection
}

// lineOf is the SubConn to one address.
type lineOf struct {
	sc       balancer.SubConn
	addr     resolver.Address
	observer *h2conn.Observer
	since    uint32 // the endpoint's GOAWAYs when it was last dialled
}

// won returns the line of the connection.
func (s *slot) won() *lineOf { return s.sub.lanes[s.race.winner] }

// inFlight returns how many RPCs the connection carries.
func (s *slot) inFlight() int {
	if s.sub.load == nil {
		return 0
	}
	return s.sub.load.InFlight()
}

// applyLocked carries out effects. Apart from Close, all calls of NewSubConn,
// Connect, UpdateState, ResolveNow and Shutdown are here, and the order is the point:
// connect first; then publish, so that no picker that gRPC starts to use from
// here on holds what leaves; only then drain, and shut down what is empty.
// Shutdown with RPCs still on their way to a stream would strand them.
func (p *pool) applyLocked(fx effects, now time.Time) {
	p.hearLocked(now)
	for _, d := range fx.dial {
		if err := p.connectLocked(d.slot, d.lane); err != nil {
			p.noteFailureLocked(d.slot, d.sub.owner.addr.Addresses[d.lane], err, now)
			d.sub.owner.lost(d.slot, d.lane, now)
		}
	}
	p.publishLocked(now)
	for _, s := range fx.drain {
		s.sub.load.Drain()
		s.left = time.Now() // to publish may have taken a while; until here it got RPCs
	}
	for _, s := range fx.won {
		p.shutdownLocked(s, s.won())
	}
	for _, s := range fx.shut {
		if n := s.inFlight(); n > 0 && s.cutOff {
			p.noteCutLocked(n, now)
		}
		if s.sub.load != nil {
			p.judgeRequestsLocked(s, now)
		}
		if !s.left.IsZero() { // by the clock: what is empty already leaves and is shut down at one now
			drainMetric.Record(p.recorder, time.Since(s.left).Seconds(), p.target)
		}
		p.shutdownLocked(s, nil)
	}
	if fx.resolve {
		p.cc.ResolveNow(resolver.ResolveNowOptions{})
	}
}

func (p *pool) connectLocked(s *slot, lane int) error {
	if s.sub.lanes == nil {
		s.sub.lanes = make([]*lineOf, len(s.race.lanes))
	}
	line := s.sub.lanes[lane]
	if line == nil {
		line = &lineOf{addr: s.sub.owner.addr.Addresses[lane], observer: h2conn.NewObserver(p.pressure.raise)}
		opts := balancer.NewSubConnOptions{
			StateListener: func(st balancer.SubConnState) { p.subConnChanged(s, lane, line, st) },
		}
		addr := h2conn.Wrap(line.observer, &opts, p.opts, line.addr)
		//lint:ignore SA1019 it is the only way to a SubConn; deprecated are several addresses
		sc, err := p.cc.NewSubConn([]resolver.Address{addr}, opts)
		if err != nil {
			return err
		}
		line.sc, s.sub.lanes[lane] = sc, line
	}
	line.since = s.sub.owner.goAways.Count()
	line.sc.Connect()
	return nil
}
