package balancer

import (
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/internal/h2conn"
	"github.com/grpc-subpool/subpool/internal/lifecycle"
)

// carryOutLocked carries out the plans of a step, field by field: lifecycle.Plan says
// why in this order. But for Close of the policy, all calls of NewSubConn, Connect,
// UpdateState, ResolveNow and Shutdown are here and in what is called here.
func (p *pool) carryOutLocked(step []*endpoint, now time.Time) {
	for _, e := range step {
		p.recordLocked(e, e.plan.Decisions, now)
		if e.plan.RequestLimits {
			p.limitRequestsLocked(e)
		}
	}
	p.dialLocked(step, now)
	p.publishLocked(step, now)
	for _, e := range step {
		p.drainLocked(e, now)
		for _, s := range e.plan.Connected {
			sub := p.endpoints.byID[s.ID()]
			p.shutdownLocked(sub, sub.activeSubConn(), false)
		}
		for _, c := range e.plan.Close {
			p.closeLocked(e, c, now)
		}
	}
	if p.resolvesLocked(step, now) {
		p.cc.ResolveNow(resolver.ResolveNowOptions{})
	}
}

func (p *pool) limitRequestsLocked(e *endpoint) {
	for _, s := range e.subchannels {
		if s.conn != nil {
			s.conn.load.SetRequestLimit(s.RequestLimit(), s.AwaitsEnd())
		}
	}
	p.schedule.republish = true
}

func (p *pool) dialLocked(step []*endpoint, now time.Time) {
	for _, e := range step {
		for _, d := range e.plan.Dial {
			s := p.subchannelLocked(e, d.Subchannel)
			if err := p.connectLocked(s, d.Address); err != nil {
				p.failure.connection = err
				e.NotDialled(d.Subchannel, d.Address, err.Error(), now)
			}
		}
	}
}

func (p *pool) connectLocked(s *subchannel, address int) error {
	sub := s.subConns[address]
	if sub == nil {
		sub = &subConn{addr: s.endpoint.addr.Addresses[address], observer: h2conn.NewObserver(s.endpoint.signals.Demand)}
		opts := balancer.NewSubConnOptions{
			StateListener: func(st balancer.SubConnState) { p.subConnChanged(s, address, sub, st) },
		}
		addr := h2conn.Wrap(sub.observer, &opts, p.opts, sub.addr)
		// Only to pass several addresses is deprecated; there is no other way to a SubConn.
		sc, err := p.cc.NewSubConn([]resolver.Address{addr}, opts)
		if err != nil {
			return err
		}
		sub.sc, s.subConns[address] = sc, sub
	}
	sub.goAwaysAtDial = s.endpoint.goAways.count.Count()
	sub.sc.Connect()
	return nil
}

func (p *pool) drainLocked(e *endpoint, now time.Time) {
	for _, d := range e.plan.Drain {
		s := p.endpoints.byID[d.ID()]
		s.conn.load.Drain()
		s.conn.drainingAt = time.Now() // to publish may have taken a while; until here it got RPCs
		d.Draining(s.conn.drainingAt)
		s.conn.observed = s.inFlight()
		p.observeLocked(s, now)
	}
}

// closeLocked ends a subchannel.
func (p *pool) closeLocked(e *endpoint, closing lifecycle.Closing, now time.Time) {
	s := p.endpoints.byID[closing.ID()]
	if s == nil {
		return // it never dialled
	}
	if n := s.inFlight(); n > 0 && closing.Forced {
		p.recordForceClosedLocked(n, now)
	}
	p.recordDrainedLocked(s.conn)
	p.shutdownLocked(s, nil, closing.Forced)
	p.endpoints.drop(e, s)
}

func (p *pool) resolvesLocked(step []*endpoint, now time.Time) bool {
	due := p.resolveDueLocked(now)
	for _, e := range step {
		due = due || e.plan.Resolve
	}
	return due
}
