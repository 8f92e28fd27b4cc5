package balancer

import (
	"fmt"
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/internal/h2conn"
	"github.com/grpc-subpool/subpool/internal/load"
)

// patience is how long gRPC may take to close a connection that has no RPC. With a
// dark one it may wait for ever, for a stream whose RPC has ended.
const patience = time.Second

// A connection is one that may outlive its SubConn, or the time that the SubConn had
// it: for its streams, after a GOAWAY, or when another policy took over.
type connection struct {
	load *load.Load
	conn *h2conn.Conn
	left time.Time
}

// disconnectLocked sends picks of older pickers elsewhere. The Load lives on in the
// RPCs that the old connection may still carry after a GOAWAY.
func (p *pool) disconnectLocked(s *slot, now time.Time) {
	if s.sub.load == nil {
		return
	}
	s.sub.load.Drain()
	if w := s.sub.conn; w != nil && !w.Closed() {
		p.former = append(p.former, connection{s.sub.load, w, now})
	}
	s.sub.load, s.sub.health, s.sub.conn = nil, nil, nil
}

// sweepLocked looks after the connections that are nobody's any more.
func (p *pool) sweepLocked(now time.Time) {
	p.closing = slices.DeleteFunc(p.closing, (*h2conn.Conn).Closed) // a Conn holds its Load
	p.former = slices.DeleteFunc(p.former, func(c connection) bool {
		if c.conn.Closed() {
			return true
		}
		if c.load.Drained() {
			p.sayGoodbyeLocked(c.conn)
			return true
		}
		if at := p.cutAt(c); !at.IsZero() && !now.Before(at) {
			p.noteCutLocked(c.load.InFlight(), now)
			p.shutdowns.Go(c.conn.ForceClose) // an application's connection may take its time to close
			return true
		}
		return false
	})
}

// cutAt returns when a connection that is nobody's is cut for the RPCs that it has; zero if never.
func (p *pool) cutAt(c connection) time.Time {
	if p.cfg == nil || p.cfg.DrainTimeout == 0 || p.closed {
		return time.Time{}
	}
	return c.left.Add(p.cfg.DrainTimeout)
}

func (p *pool) noteCutLocked(rpcs int, now time.Time) {
	p.report.cut += rpcs
	cutMetric.Record(p.recorder, int64(rpcs), p.target)
	why := fmt.Sprintf("a connection is cut with %d RPCs, for it did not drain in %v", rpcs, p.cfg.DrainTimeout)
	p.noteLocked(now, note{what: "force_closed", why: why, warn: true})
}

// sayGoodbyeLocked cuts a connection that carries nothing if gRPC does not close it.
func (p *pool) sayGoodbyeLocked(w *h2conn.Conn) {
	w.ForceCloseAfter(patience)
	p.closing = append(p.closing, w)
}

// shutdownLocked shuts down all that s has but keep. It does not wait: with a
// connection that went dark Shutdown takes seconds to give up saying goodbye. That
// of a slot that is cut off is closed as soon as gRPC knows that it is meant to be.
func (p *pool) shutdownLocked(s *slot, keep *lineOf) {
	for i, line := range s.sub.lanes {
		if line == nil || line == keep {
			continue
		}
		s.sub.lanes[i] = nil
		w, cut := line.observer.Conn(), s.cutOff
		if w != nil {
			p.sayGoodbyeLocked(w)
		}
		p.shutdowns.Go(func() {
			line.sc.Shutdown()
			if cut && w != nil {
				w.ForceClose()
			}
		})
	}
}

// Close ends the pool. gRPC then closes the connections with the channel; if only
// the policy changed, open streams finish. A connection that carries nothing is gone
// within a second, be it dark.
func (p *pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.timer.Stop()
	for _, w := range p.closing { // gRPC has let go of these
		p.shutdowns.Go(w.ForceClose)
	}
	p.closing = nil
	now := time.Now()
	for _, e := range p.endpoints {
		for _, s := range slices.Concat(e.slots, e.leaving) {
			for _, line := range s.sub.lanes {
				if line != nil {
					p.shutdowns.Go(line.sc.Shutdown)
				}
			}
			p.disconnectLocked(s, now)
		}
	}
	p.sweepLocked(now)
	p.countHeldLocked()
	p.countFullLocked()
	p.recordSubchannelsLocked([closed]int{})
	p.recordLimitLocked(noLimit)
	p.mu.Unlock()
	p.unlist()
	p.shutdowns.Wait()
}
