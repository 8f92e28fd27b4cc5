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

	limit    atomic.Uint32
	received atomic.Uint64
	goAway   atomic.Int32 // its kind; 0 until there was one
	onEnd    atomic.Pointer[func(took int)]
	closed   atomic.Bool
	late     atomic.Pointer[time.Timer] // see CutAfter
}

func newWire(conn, raw net.Conn, changed func()) *Wire {
	w := &Wire{Conn: conn, raw: raw, changed: changed}
	w.limit.Store(NoLimit)
	return w
}

// Limit returns how many streams the server allows at a time, NoLimit if it did
// not say. It is known before gRPC calls the connection READY.
func (w *Wire) Limit() int { return int(w.limit.Load()) }

// Received returns how many bytes have been read.
func (w *Wire) Received() uint64 { return w.received.Load() }

// OnEnd makes end be called when the server says that it takes no more streams, and
// which was the last: before gRPC knows, and by its reader, so it must not block. A
// server that first says that it will do so, as it should, refuses none.
func (w *Wire) OnEnd(end func(took int)) { w.onEnd.Store(&end) }

// Blunt reports whether the server has told in that way.
func (w *Wire) Blunt() bool { return w.goAway.Load() == blunt }

// Polite reports whether the server has said beforehand that it will. What it has by
// then it takes.
func (w *Wire) Polite() bool { return w.goAway.Load() == polite }

// The kinds of a first GOAWAY.
const (
	polite int32 = iota + 1
	blunt
	failed
)

// ended looks at a GOAWAY. The first one tells of which kind it is.
func (w *Wire) ended(last, code uint32) {
	const most, noError = 1<<31 - 1, 0
	kind := blunt
	switch {
	case code != noError:
		kind = failed
	case last == most:
		kind = polite
	}
	if !w.goAway.CompareAndSwap(0, kind) {
		return
	}
	if end := w.onEnd.Load(); kind == blunt && end != nil {
		(*end)((int(last) + 1) / 2) // a client's streams have odd numbers
	}
}

// Closed reports whether gRPC has closed the connection, and that has ended.
func (w *Wire) Closed() bool { return w.closed.Load() }

// Cut closes the connection without a word to anybody. It is the raw one that is
// closed, for TLS would first try to say goodbye. gRPC then finds it broken.
func (w *Wire) Cut() { _ = w.raw.Close() }

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
	if n.goAway {
		w.ended(n.last, n.code)
	}
}
