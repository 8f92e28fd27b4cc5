package balancer

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/grpc-subpool/subpool/internal/h2conn"
)

// closeWithin is how long gRPC may take to close a connection that has no RPC. If that does
// not answer any more gRPC may wait for ever, for a stream whose RPC has ended.
const closeWithin = time.Second

// leftovers are what is to be looked after though no subchannel has it any more.
type leftovers struct {
	lingering []*connection  // may carry RPCs: after a GOAWAY, or when another policy took over
	closing   []*h2conn.Conn // gRPC was told to close them
	shutdowns sync.WaitGroup // SubConn.Shutdown may wait for a connection that does not answer
}

// disconnectLocked takes the connection from s, which has lost it. Its load lives on in the
// RPCs that it may still carry after a GOAWAY; picks of older pickers go elsewhere.
func (p *pool) disconnectLocked(s *subchannel, now time.Time) {
	c := s.conn
	if c == nil {
		return
	}
	s.conn = nil
	c.load.Drain()
	if c.transport != nil && !c.transport.Closed() {
		if c.drainingAt.IsZero() {
			c.drainingAt = now
		}
		p.leftovers.lingering = append(p.leftovers.lingering, c)
	}
}

// closeLingeringLocked closes the connections that no subchannel has and that carry nothing,
// or have done so for too long.
func (p *pool) closeLingeringLocked(now time.Time) {
	l := &p.leftovers
	l.closing = slices.DeleteFunc(l.closing, (*h2conn.Conn).Closed) // each holds its load
	l.lingering = slices.DeleteFunc(l.lingering, func(c *connection) bool {
		if c.transport.Closed() {
			return true
		}
		if c.load.Drained() {
			p.closeSoonLocked(c.transport)
			return true
		}
		if at := p.forceCloseAtLocked(c); !at.IsZero() && !now.Before(at) {
			p.recordForceClosedLocked(c.load.InFlight(), now)
			cause := p.cutByLocked()
			l.shutdowns.Go(func() { c.transport.ForceClose(cause) }) // an application's connection may take its time to close
			return true
		}
		return false
	})
}

// forceCloseAtLocked returns when a lingering connection is closed with its RPCs; zero if never:
// without drainTimeout, and after Close, for then nothing is timed.
func (p *pool) forceCloseAtLocked(c *connection) time.Time {
	if p.cfg == nil || p.cfg.DrainTimeout == 0 || p.closed {
		return time.Time{}
	}
	return c.drainingAt.Add(p.cfg.DrainTimeout)
}

// cutByLocked is what RPCs are told that a close by force cuts.
func (p *pool) cutByLocked() string {
	if p.cfg == nil {
		return ""
	}
	return fmt.Sprintf("subpool: drainTimeout: %v, the connection was retired and its RPCs did not end in time", p.cfg.DrainTimeout)
}

// closeSoonLocked closes a connection that carries nothing if gRPC does not.
func (p *pool) closeSoonLocked(transport *h2conn.Conn) {
	transport.ForceCloseAfter(closeWithin)
	p.leftovers.closing = append(p.leftovers.closing, transport)
}

// shutdownLocked shuts down the SubConns of s but keep. It does not wait: Shutdown sends a
// GOAWAY, and takes seconds to give that up. With force the connection is closed as soon as
// gRPC knows that it is meant to be.
func (p *pool) shutdownLocked(s *subchannel, keep *subConn, force bool) {
	cause := p.cutByLocked()
	for i, sub := range s.subConns {
		if sub == nil || sub == keep {
			continue
		}
		s.subConns[i] = nil
		transport := sub.observer.Conn()
		if transport != nil {
			p.closeSoonLocked(transport)
		}
		p.leftovers.shutdowns.Go(func() {
			sub.sc.Shutdown()
			if force && transport != nil {
				transport.ForceClose(cause)
			}
		})
	}
}

// Close ends the pool: its timer, its SubConns, its metrics and its place among the pools that
// can be inspected. gRPC then closes the connections with the channel; if only the policy
// changed, open streams finish. A connection that carries nothing is gone within closeWithin,
// whether it answers or not.
func (p *pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.schedule.timer.Stop()
	shutdowns := &p.leftovers.shutdowns
	for _, transport := range p.leftovers.closing { // gRPC has let go of these
		shutdowns.Go(func() { transport.ForceClose("") })
	}
	p.leftovers.closing = nil
	now := time.Now()
	for _, e := range p.endpoints.list {
		for _, s := range e.subchannels {
			for _, sub := range s.subConns {
				if sub != nil {
					shutdowns.Go(sub.sc.Shutdown)
				}
			}
			p.disconnectLocked(s, now)
		}
	}
	p.closeLingeringLocked(now)
	p.waiters.EndWaits()
	p.countFullLocked()
	p.recordSubchannelsLocked(phases{})
	p.recordMissingLocked(0)
	p.recordLimitLocked(noLimit)
	p.mu.Unlock()
	p.unregister()
	shutdowns.Wait()
}
