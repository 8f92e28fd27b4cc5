package worlds

import (
	"io"
	"net"
	"sync"
	"time"
)

// A way carries bytes in one direction, in order and without a bound; each piece is on
// its way for as long as the latency.
type way struct {
	latency time.Duration

	mu     sync.Mutex
	some   *sync.Cond
	pieces []piece
	closed bool // by the reader
	dark   bool // what is sent vanishes
}

// A piece without bytes is the end.
type piece struct {
	at    time.Time
	bytes []byte
}

func newWay(latency time.Duration) *way {
	w := &way{latency: latency}
	w.some = sync.NewCond(&w.mu)
	return w
}

func (w *way) send(p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dark || w.closed {
		return
	}
	w.pieces = append(w.pieces, piece{time.Now().Add(w.latency), append([]byte(nil), p...)})
	w.some.Signal()
}

func (w *way) read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if w.closed {
			return 0, net.ErrClosed
		}
		if len(w.pieces) == 0 {
			w.some.Wait()
			continue
		}
		first := &w.pieces[0]
		if wait := time.Until(first.at); wait > 0 {
			w.mu.Unlock()
			time.Sleep(wait)
			w.mu.Lock()
			continue
		}
		if len(first.bytes) == 0 {
			return 0, io.EOF
		}
		n := copy(p, first.bytes)
		if first.bytes = first.bytes[n:]; len(first.bytes) == 0 {
			w.pieces = w.pieces[1:]
		}
		return n, nil
	}
}

func (w *way) darken() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dark = true
}

func (w *way) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed, w.pieces = true, nil
	w.some.Signal()
}

// An end is one of the two of a connection in memory. No Write ever blocks, so it needs no
// deadlines.
type end struct {
	in, out *way
	once    *sync.Once
	onClose func()
}

func connect(latency time.Duration) (client, server *end) {
	a, b := newWay(latency), newWay(latency)
	return &end{in: a, out: b, once: new(sync.Once)}, &end{in: b, out: a, once: new(sync.Once)}
}

func (e *end) Read(p []byte) (int, error) { return e.in.read(p) }

func (e *end) Write(p []byte) (int, error) {
	if len(p) > 0 {
		e.out.send(p)
	}
	return len(p), nil
}

// Close lets what was sent arrive, and a FIN behind it.
func (e *end) Close() error {
	e.once.Do(func() {
		e.out.send(nil)
		e.in.stop()
		if e.onClose != nil {
			e.onClose()
		}
	})
	return nil
}

func (e *end) LocalAddr() net.Addr              { return nowhere{} }
func (e *end) RemoteAddr() net.Addr             { return nowhere{} }
func (e *end) SetDeadline(time.Time) error      { return nil }
func (e *end) SetReadDeadline(time.Time) error  { return nil }
func (e *end) SetWriteDeadline(time.Time) error { return nil }

type nowhere struct{}

func (nowhere) Network() string { return "worlds" }
func (nowhere) String() string  { return "worlds" }
