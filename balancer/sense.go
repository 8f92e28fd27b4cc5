package balancer

import (
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"

	"github.com/grpc-subpool/subpool/picker"
)

// connectedLocked fits the senses to a new connection.
func (p *pool) connectedLocked(s *slot) {
	load, e := picker.NewLoad(&p.gate), s.sub.owner
	p.recount = e.renewQuota(time.Now()) || p.recount
	load.Under(e.quota.Quota)
	s.sub.load = load
	// Not on top of the last connection's: that would keep all old Loads alive.
	s.sub.addr = picker.WithLoad(s.won().addr, load, s.order)
	s.sub.health = s.watchHealth(p.health.raise)
	s.sub.wire = s.won().sensor.Wire()
	s.cuttable = s.sub.wire != nil
	if w := s.sub.wire; w != nil {
		w.OnEnd(s.sub.health.endOf(load, p.pressure.raise))
		x := &silence{begin: time.Now()}
		s.sub.silence = x
		load.OnSilence(func() {
			than := time.Duration(p.silenceAfter.Load())
			if than > 0 && x.ended(w.Received(), time.Now(), than) {
				x.long.Store(true)
				p.silence.raise()
			}
		})
	}
}

// healthNote is what the listener of a connection's health leaves.
type healthNote struct {
	atomic.Pointer[balancer.SubConnState]
	watched atomic.Bool // a stream of the connection carries the health checking
}

// watchHealth listens for the health of a new connection. Without health checking
// gRPC says once that it is READY; with it, first that it is CONNECTING. The listener
// runs under a lock of the SubConn, which comes after the pool's: it only leaves a
// note.
func (s *slot) watchHealth(changed func()) *healthNote {
	note := new(healthNote)
	s.won().sc.RegisterHealthListener(func(st balancer.SubConnState) {
		if st.ConnectivityState == connectivity.Connecting {
			note.watched.Store(true)
		}
		note.Store(&st)
		changed()
	})
	return note
}

// endOf returns what is to be done when the server ends the connection. The stream of
// the health checking was one of those that it took.
func (note *healthNote) endOf(load *picker.Load, changed func()) func(took int) {
	return func(took int) {
		if note.watched.Load() {
			took--
		}
		if load.Refused(took) {
			changed()
		}
	}
}

// senseLocked reads what is known of all connections: their health, the server's
// stream limit, silence.
func (p *pool) senseLocked(now time.Time) {
	for _, e := range p.endpoints {
		p.recount = e.renewQuota(now) || p.recount
		for _, s := range e.slots {
			if !s.connected() {
				continue
			}
			if st := s.sub.health.Load(); st != nil && e.checked(s, st.ConnectivityState) && s.unwell {
				if p.connErr = st.ConnectionError; p.connErr == nil {
					p.connErr = errEjected
				}
			}
			s.served = s.sub.hasServed()
			if s.sub.wire == nil {
				continue
			}
			if s.allow(s.sub.wire.Limit(), s.sub.health.watched.Load()) {
				s.sub.load.SetLimit(s.places(s.limit))
			}
			p.spendLocked(s, now)
			if s.sub.silence.long.Swap(false) {
				e.suspect(s, now)
			}
		}
		e.learn(now)
	}
}

var errEjected = errors.New("the parent policy takes the connection for unhealthy")
