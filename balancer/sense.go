package balancer

import (
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"

	"github.com/grpc-subpool/subpool/internal/h2conn"
	"github.com/grpc-subpool/subpool/internal/load"
)

// connectedLocked fits the senses to a new connection.
func (p *pool) connectedLocked(s *slot) {
	load, line := load.New(p.waiters, &s.sub.owner.goAways), s.won()
	load.SetRequestLimit(s.sub.owner.requests.most)
	s.sub.load = load
	s.sub.health = s.watchHealth(p.news.raise)
	s.sub.conn = line.observer.Conn()
	s.cuttable = s.sub.conn != nil
	if w := s.sub.conn; w != nil {
		note := s.sub.health
		goAway := func(g h2conn.GoAway) { load.GoAway(note.took(g)) }
		w.OnGoAway(goAway)
		if g := w.GoAway(); g != nil { // it came before
			goAway(*g)
		}
		x := &silence{begin: time.Now()}
		s.sub.silence = x
		load.OnUnanswered(func() {
			than := time.Duration(p.silenceAfter.Load())
			if than > 0 && x.ended(w.Received(), time.Now(), than) {
				x.long.Store(true)
				p.news.raise()
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

// senseLocked reads what is known of all connections: their health, the server's
// stream limit, silence.
func (p *pool) senseLocked(now time.Time) {
	for _, e := range p.endpoints {
		for s := range e.connected() {
			if st := s.sub.health.Load(); st != nil && e.checked(s, st.ConnectivityState) && s.unwell {
				if p.connErr = st.ConnectionError; p.connErr == nil {
					p.connErr = errEjected
				}
			}
			load := s.sub.load
			s.served = load.Served()
			if s.sub.conn == nil {
				continue
			}
			limit, stated := s.sub.conn.Limit()
			if s.allow(limit, stated, s.sub.health.watched.Load()) {
				load.SetLimit(s.places(s.limit))
			}
			p.judgeRequestsLocked(s, now)
			if s.sub.silence.long.Swap(false) {
				e.suspect(s, now)
			}
		}
		for _, s := range e.leaving {
			p.judgeRequestsLocked(s, now)
		}
		e.learn(now)
	}
}

var errEjected = errors.New("the parent policy takes the connection for unhealthy")
