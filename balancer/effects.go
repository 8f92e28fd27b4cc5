package balancer

import (
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/picker"
)

// A subchannel is what a slot has of gRPC.
type subchannel struct {
	owner   *endpointOf
	lanes   []*lineOf                              // to each address; nil until it is dialled
	load    *picker.Load                           // of the connection; nil without one
	addr    resolver.Address                       // of the connection, with its load
	sampled int                                    // RPCs in flight when the demand was last sampled
	health  *atomic.Pointer[balancer.SubConnState] // of the connection, as last reported
}

// lineOf is the SubConn to one address.
type lineOf struct {
	sc   balancer.SubConn
	addr resolver.Address
}

// won returns the line of the connection.
func (s *slot) won() *lineOf { return s.sub.lanes[s.race.winner] }

// connect gives a new connection a Load of its own.
func (s *slot) connect(gate *picker.Gate) {
	s.sub.load = picker.NewLoad(gate)
	s.sub.load.SetLimit(s.sub.owner.limit)
	// Not on top of the last connection's: that would keep all old Loads alive.
	s.sub.addr = picker.WithLoad(s.won().addr, s.sub.load, s.order)
}

// watchHealth listens for the health of a new connection. Without health checking
// gRPC says once that it is READY. The listener runs under a lock of the SubConn,
// which comes after the pool's: it only leaves a note.
func (s *slot) watchHealth(changed func()) {
	note := new(atomic.Pointer[balancer.SubConnState])
	s.sub.health = note
	s.won().sc.RegisterHealthListener(func(st balancer.SubConnState) {
		note.Store(&st)
		changed()
	})
}

// disconnect sends picks of older pickers elsewhere. The Load lives on in the
// RPCs that the old connection may still carry after a GOAWAY.
func (sub *subchannel) disconnect() {
	if sub.load != nil {
		sub.load.Drain()
		sub.load, sub.health = nil, nil
	}
}

// applyLocked carries out effects. Apart from Close, all calls of NewSubConn,
// Connect, UpdateState, ResolveNow and Shutdown are here, and the order is the point:
// connect first; then publish, so that no picker that gRPC starts to use from
// here on holds what leaves; only then drain, and shut down what is empty.
// Shutdown with RPCs still on their way to a stream would strand them.
func (p *pool) applyLocked(fx effects, now time.Time) {
	for _, d := range fx.dial {
		if err := p.connectLocked(d.slot, d.lane); err != nil {
			p.connErr = err
			d.sub.owner.lost(d.slot, d.lane, now)
		}
	}
	p.publishLocked(now)
	for _, s := range fx.drain {
		s.sub.load.Drain()
	}
	for _, s := range fx.won {
		p.shutdownLocked(s, s.won())
	}
	for _, s := range fx.shut {
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
		line = &lineOf{addr: s.sub.owner.addr.Addresses[lane]}
		//lint:ignore SA1019 it is the only way to a SubConn; deprecated are several addresses
		sc, err := p.cc.NewSubConn([]resolver.Address{line.addr}, balancer.NewSubConnOptions{
			StateListener: func(st balancer.SubConnState) { p.subConnChanged(s, lane, line, st) },
		})
		if err != nil {
			return err
		}
		line.sc, s.sub.lanes[lane] = sc, line
	}
	line.sc.Connect()
	return nil
}

// shutdownLocked shuts down all that s has but keep. It does not wait: with a
// connection that went dark Shutdown takes seconds to give up saying goodbye.
func (p *pool) shutdownLocked(s *slot, keep *lineOf) {
	for i, line := range s.sub.lanes {
		if line != nil && line != keep {
			s.sub.lanes[i] = nil
			p.shutdowns.Go(line.sc.Shutdown)
		}
	}
}
