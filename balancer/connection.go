package balancer

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/internal/h2conn"
	"github.com/grpc-subpool/subpool/internal/lifecycle"
	"github.com/grpc-subpool/subpool/internal/load"
)

// A subchannel is a duplicate of an endpoint with what it has of gRPC.
type subchannel struct {
	*lifecycle.Subchannel
	endpoint *endpoint
	subConns []*subConn  // by address; nil where there is none
	conn     *connection // while Connected; else nil
}

// A subConn is the SubConn to one address.
type subConn struct {
	sc            balancer.SubConn
	addr          resolver.Address
	observer      *h2conn.Observer
	goAwaysAtDial uint32 // of the endpoint, when it was last dialled
}

// A connection is all that the shell knows of one connection. It is never used for the next
// one: RPCs that outlive their connection hold its load.
type connection struct {
	load        *load.Load
	transport   *h2conn.Conn // nil if the connection cannot be observed
	subConn     *subConn
	health      *health
	unanswered  *unanswered // nil without transport
	streamLimit int         // that load has
	observed    int         // RPCs in flight, when it was last observed
	drainingAt  time.Time   // since when it gets no RPC, by retirement or a GOAWAY; or zero
}

// activeSubConn returns the SubConn of the connection. There must be one.
func (s *subchannel) activeSubConn() *subConn { return s.subConns[s.Address()] }

// inFlight returns how many RPCs the connection carries.
func (s *subchannel) inFlight() int {
	if s.conn == nil {
		return 0
	}
	return s.conn.load.InFlight()
}

// connectedLocked gives s its connection: load, listener of the health, and of GOAWAYs.
func (p *pool) connectedLocked(s *subchannel) {
	sub := s.activeSubConn()
	c := &connection{
		load:      load.New(p.waiters, &s.endpoint.goAways.count),
		transport: sub.observer.Conn(), subConn: sub,
		streamLimit: noLimit,
	}
	changed := s.endpoint.signals.Changed
	c.load.SetSubConn(int(s.ID()), sub.sc, &sub.addr)
	c.load.BeginWithFailures(s.endpoint.leastFailures())
	c.load.SetSignals(s.endpoint.signals)
	if s.endpoint.Failures() > 0 {
		c.load.OnAnswered(changed) // then the outage is over
	}
	c.health = watchHealth(sub.sc, changed)
	if t := c.transport; t != nil {
		goAway := func(g h2conn.GoAway) { c.load.GoAway(c.health.took(g)) }
		t.OnGoAway(goAway)
		if g := t.GoAway(); g != nil { // it came before
			goAway(*g)
		}
		c.unanswered = &unanswered{connected: time.Now()}
		c.load.OnUnanswered(func() {
			after := time.Duration(p.unresponsiveAfter.Load())
			if after > 0 && c.unanswered.add(t.Received(), time.Now(), after) {
				c.unanswered.tooLong.Store(true)
				changed()
			}
		})
	}
	s.conn = c
}

// leastFailures is what a new connection begins with. Where all fail alike it would else get all RPCs,
// until as many have failed there. One alone may fail by itself, and what takes no RPC says nothing.
func (e *endpoint) leastFailures() (failures, inARow uint64) {
	failures, inARow = math.MaxUint64, math.MaxUint64
	siblings := 0
	for _, s := range e.subchannels {
		if s.conn != nil && s.Phase() == lifecycle.Ready && !s.conn.load.Blocked() {
			siblings++
			failures, inARow = min(failures, s.conn.load.Failures()), min(inARow, s.conn.load.FailedInARow())
		}
	}
	if siblings < 2 {
		return 0, 0
	}
	return failures, inARow
}

// lostLocked takes the end of a connection or an attempt. transport may be nil.
func (p *pool) lostLocked(s *subchannel, address int, transport *h2conn.Conn, now time.Time) {
	cause := flapError(transport)
	end := lifecycle.End{Cause: cause.Error(), Alone: p.endpoints.sum.listed == 1}
	if c := s.conn; c != nil {
		end.InFlight, end.Answered = c.load.InFlight(), c.load.Answered() || c.load.Starts() > 0 && c.health.answered(transport)
		if g := goAwayOf(transport); g != nil {
			end.GoAway = g.String()
			end.NoError = g.Code == 0
			end.Final = end.NoError && !g.Graceful()
			end.Took = c.health.took(*g)
		}
	}
	if s.endpoint.Lost(s.Subchannel, address, end, now) {
		p.failure.connection = cause
	}
	// An RPC that waits may try at once, as one that comes may: it is to pick again.
	p.schedule.republish = p.schedule.republish || p.published.state != connectivity.Ready
	if s.conn != nil && !s.Connected() {
		p.recordDrainedLocked(s.conn)
		p.disconnectLocked(s, now)
	}
}

func goAwayOf(transport *h2conn.Conn) *h2conn.GoAway {
	if transport == nil {
		return nil
	}
	return transport.GoAway()
}

// flapError says what became of a connection that did not prove itself.
func flapError(transport *h2conn.Conn) error {
	if g := goAwayOf(transport); g != nil {
		return fmt.Errorf("the server ended the connection within %v of accepting it: %v", lifecycle.ProvenAfter, g)
	}
	return fmt.Errorf("the server closed the connection within %v of accepting it", lifecycle.ProvenAfter)
}

// health is what the listener of a connection's health leaves.
type health struct {
	state   atomic.Pointer[balancer.SubConnState] // nil before any
	watched atomic.Bool                           // a stream of the connection carries the health checking
}

// watchHealth listens to the health of a new connection. Without health checking gRPC says
// once that it is READY; with it, first that it is CONNECTING. The listener runs under a
// lock of the SubConn, which is taken after the pool's: so it only leaves a note.
func watchHealth(sc balancer.SubConn, changed func()) *health {
	h := new(health)
	sc.RegisterHealthListener(func(st balancer.SubConnState) {
		if st.ConnectivityState == connectivity.Connecting {
			h.watched.Store(true)
		}
		h.state.Store(&st)
		changed()
	})
	return h
}

func (h *health) get() lifecycle.Health {
	st := h.state.Load()
	switch {
	case st == nil:
		return lifecycle.HealthUnknown
	case st.ConnectivityState == connectivity.Ready:
		return lifecycle.HealthServing
	case st.ConnectivityState == connectivity.TransientFailure:
		return lifecycle.HealthNotServing
	}
	return lifecycle.HealthUnknown
}

// err returns why the connection does not serve.
func (h *health) err() error {
	if st := h.state.Load(); st != nil && st.ConnectionError != nil {
		return st.ConnectionError
	}
	return errEjected
}

var errEjected = errors.New("the parent policy takes the connection for unhealthy")

// took returns how many RPCs the server takes by a GOAWAY.
func (h *health) took(g h2conn.GoAway) int { return h.rpcs(g.Streams()) }

// answered reports whether the server answered an RPC on a connection that has ended. RPCs may tell so
// only later: the answer and the end come together, and gRPC hands them to different goroutines. conn may
// be nil.
func (h *health) answered(conn *h2conn.Conn) bool {
	return conn != nil && h.rpcs(conn.AnsweredUpTo()) > 0
}

// rpcs returns how many of the first streams are RPCs: the first of all may be the health checking.
func (h *health) rpcs(streams int) int {
	if h.watched.Load() {
		return streams - 1
	}
	return streams
}

// unanswered is for how long a connection has answered nothing: since the first of its RPCs
// that ended so, while not one byte came.
type unanswered struct {
	connected time.Time     // since counts from it, by the monotonic clock
	received  atomic.Uint64 // bytes received when that RPC ended, plus 1; 0 is unset
	since     atomic.Int64  // how long after connected that was
	tooLong   atomic.Bool
}

// add says that an RPC was sent, and ended at its deadline without an answer. It may be
// called by several at once: then they end at the same time, and one that comes late with an
// old count only makes the time begin anew.
func (u *unanswered) add(received uint64, now time.Time, after time.Duration) (tooLong bool) {
	at := now.Sub(u.connected)
	if u.received.Load() != received+1 {
		u.since.Store(int64(at))
		u.received.Store(received + 1)
		return false
	}
	return at-time.Duration(u.since.Load()) >= after
}
