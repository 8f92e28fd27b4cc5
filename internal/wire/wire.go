// Package wire tells a balancer what only the connection knows: how many streams
// the server allows and took, how much has been received, and whether it is closed. And it
// can cut the connection. gRPC has no interface for any of this; a net.Conn that
// reads along does.
package wire

import (
	"math"
	"net"
	"sync/atomic"
	"time"
)

// NoLimit is the limit of a server that sets none.
const NoLimit = math.MaxInt32

// A Sensor fits a Wire to each connection of one SubConn.
type Sensor struct {
	changed func()
	wire    atomic.Pointer[Wire]
}

// NewSensor returns a Sensor that calls changed when the limit of a connection
// changes. It is called by the transport's reader, so it must not block.
func NewSensor(changed func()) *Sensor { return &Sensor{changed: changed} }

// Wire returns the wire of the connection that was made last, nil if it is forgotten
// or none could be fitted.
func (s *Sensor) Wire() *Wire { return s.wire.Load() }

// Forget is called when the SubConn has lost that connection, which may live on for
// its streams.
func (s *Sensor) Forget() { s.wire.Store(nil) }

type sensorKey struct{}

// A Wire is the connection under one transport. What is read from it, by one
// goroutine at a time, is not touched: it only reads along.
type Wire struct {
	net.Conn // what the handshake made of raw
	raw      net.Conn
	changed  func()
	frames   frames

	limit    atomic.Uint32 // unstated until the server has said one
	received atomic.Uint64
	goAway   atomic.Pointer[GoAway] // the last one
	onGoAway atomic.Pointer[func(GoAway)]
	closed   atomic.Bool
	late     atomic.Pointer[time.Timer] // see CutAfter
}

func newWire(conn, raw net.Conn, changed func()) *Wire {
	w := &Wire{Conn: conn, raw: raw, changed: changed}
	w.limit.Store(unstated)
	return w
}

const unstated = math.MaxUint32

// Limit returns how many streams the server allows at a time, NoLimit if it has not
// stated that. What its first SETTINGS says is known before gRPC calls the connection
// READY; a proxy may send one of its own first, and the server's later.
func (w *Wire) Limit() (streams int, stated bool) {
	n := w.limit.Load()
	return int(min(n, NoLimit)), n != unstated
}

// Received returns how many bytes have been read.
func (w *Wire) Received() uint64 { return w.received.Load() }

// OnGoAway makes f be called with each GOAWAY that comes: before gRPC knows of it, and by
// its reader, so it must not block.
func (w *Wire) OnGoAway(f func(GoAway)) { w.onGoAway.Store(&f) }

// GoAway returns the last GOAWAY, nil if there was none.
func (w *Wire) GoAway() *GoAway { return w.goAway.Load() }

// Closed reports whether the connection was closed, by gRPC or by Cut.
func (w *Wire) Closed() bool { return w.closed.Load() }

// Cut closes the connection without a word to anybody. It is the raw one that is
// closed, for TLS would first try to say goodbye. gRPC then finds it broken.
// Where gRPC gave the connection up during its handshake, Close of w is not called.
func (w *Wire) Cut() {
	_ = w.raw.Close()
	w.closed.Store(true)
}

// CutAfter cuts the connection if it is still open after d.
func (w *Wire) CutAfter(d time.Duration) {
	t := time.AfterFunc(d, w.Cut)
	if !w.late.CompareAndSwap(nil, t) || w.Closed() {
		t.Stop()
	}
}

// Close implements net.Conn.
func (w *Wire) Close() error {
	err := w.Conn.Close()
	w.closed.Store(true)
	if t := w.late.Load(); t != nil {
		t.Stop()
	}
	return err
}

// Read implements net.Conn.
func (w *Wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.saw(p[:n])
	return n, err
}

// saw reads along.
func (w *Wire) saw(p []byte) {
	if len(p) == 0 {
		return
	}
	w.received.Store(w.received.Load() + uint64(len(p))) // only the reader writes
	n := w.frames.follow(p)
	if n.limited && w.limit.Swap(min(n.limit, NoLimit)) != min(n.limit, NoLimit) {
		w.changed()
	}
	for _, g := range n.goAways {
		w.goAway.Store(&g)
		if f := w.onGoAway.Load(); f != nil {
			(*f)(g)
		}
	}
}
