// Package h2conn tells a balancer what only the connection knows: the server's stream limit,
// its GOAWAYs, what it answered, how many bytes have come, and whether it is closed; and closes it by
// force. gRPC has no interface for this; a net.Conn that follows the frames that are read does.
package h2conn

import (
	"math"
	"net"
	"sync/atomic"
	"time"
)

// NoLimit is the limit of a server that sets none.
const NoLimit = math.MaxInt32

// An Observer knows the connection of one SubConn.
type Observer struct {
	changed func()
	conn    atomic.Pointer[Conn]
}

// NewObserver returns an Observer that calls changed when the limit of a connection
// changes. It is called by the transport's reader, so it must not block.
func NewObserver(changed func()) *Observer { return &Observer{changed: changed} }

// Conn returns the connection that was made last, nil if it is forgotten or was not
// wrapped.
func (o *Observer) Conn() *Conn { return o.conn.Load() }

// Forget is called when the SubConn has lost that connection, which may live on for
// its streams.
func (o *Observer) Forget() { o.conn.Store(nil) }

type observerKey struct{}

// A Conn is the connection under one transport. What is read from it, by one
// goroutine at a time, is passed on as it is.
type Conn struct {
	net.Conn // what the handshake made of raw
	raw      net.Conn
	changed  func()
	frames   frames

	limit      atomic.Uint32 // unstated until the server has stated one
	received   atomic.Uint64
	answered   atomic.Uint32          // the frames' answered, for other goroutines
	goAway     atomic.Pointer[GoAway] // the last one
	onGoAway   atomic.Pointer[func(GoAway)]
	closed     atomic.Bool
	cause      atomic.Pointer[string]     // why it was closed by force; nil if it was not, or nobody would ask
	closeTimer atomic.Pointer[time.Timer] // of ForceCloseAfter; nil before
}

func newConn(conn, raw net.Conn, changed func()) *Conn {
	c := &Conn{Conn: conn, raw: raw, changed: changed}
	c.limit.Store(unstated)
	return c
}

const unstated = math.MaxUint32

// Limit returns how many streams the server allows at a time, NoLimit if it has not
// stated that. What its first SETTINGS says is known before gRPC calls the connection
// READY; a proxy may send one of its own first, and the server's later.
func (c *Conn) Limit() (streams int, stated bool) {
	n := c.limit.Load()
	return int(min(n, NoLimit)), n != unstated
}

// Received returns how many bytes have been read.
func (c *Conn) Received() uint64 { return c.received.Load() }

// AnsweredUpTo returns how many of the client's streams there are, which have odd numbers, up to the last
// one that the server answered. Of answers that come with the end of the connection it tells before
// gRPC tells their RPCs.
func (c *Conn) AnsweredUpTo() int { return int((c.answered.Load() + 1) / 2) }

// OnGoAway makes f be called with each GOAWAY that comes: before gRPC knows of it, and by
// its reader, so it must not block.
func (c *Conn) OnGoAway(f func(GoAway)) { c.onGoAway.Store(&f) }

// GoAway returns the last GOAWAY, nil if there was none.
func (c *Conn) GoAway() *GoAway { return c.goAway.Load() }

// Closed reports whether the connection was closed, by gRPC or by ForceClose.
func (c *Conn) Closed() bool { return c.closed.Load() }

// ForceClose closes the connection without sending anything. It is the raw one that is
// closed, for TLS would first try to send close_notify. gRPC then finds it broken, and quotes
// the cause in the errors of RPCs that are cut; empty stands for the system's own.
// Where gRPC gave the connection up during its handshake, Close of c is not called.
func (c *Conn) ForceClose(cause string) {
	if cause != "" {
		c.cause.CompareAndSwap(nil, &cause)
	}
	_ = c.raw.Close()
	c.closed.Store(true)
}

// ForceCloseAfter calls ForceClose if the connection is still open after d.
func (c *Conn) ForceCloseAfter(d time.Duration) {
	t := time.AfterFunc(d, func() { c.ForceClose("") })
	if !c.closeTimer.CompareAndSwap(nil, t) || c.Closed() {
		t.Stop()
	}
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	c.closed.Store(true)
	if t := c.closeTimer.Load(); t != nil {
		t.Stop()
	}
	return err
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.observe(p[:n])
	return n, c.explained(err)
}

// explained returns the error of a read with its cause, where that is ForceClose.
func (c *Conn) explained(err error) error {
	if cause := c.cause.Load(); err != nil && cause != nil {
		return forced{*cause, err}
	}
	return err
}

// forced is the error of a read from a connection that was closed by force.
type forced struct {
	cause string
	error // of the read
}

func (f forced) Error() string { return f.cause }
func (f forced) Unwrap() error { return f.error }

// observe follows the frames in p, the bytes that were read last.
func (c *Conn) observe(p []byte) {
	if len(p) == 0 {
		return
	}
	c.received.Store(c.received.Load() + uint64(len(p))) // only the reader writes
	found := c.frames.follow(p)
	if n := c.frames.answered; n != c.answered.Load() {
		c.answered.Store(n)
	}
	if found.limited && c.limit.Swap(min(found.limit, NoLimit)) != min(found.limit, NoLimit) {
		c.changed()
	}
	for _, g := range found.goAways {
		c.goAway.Store(&g)
		if f := c.onGoAway.Load(); f != nil {
			(*f)(g)
		}
	}
}
