package harness

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
)

// number is the address that the server sees: which connection it is.
type number int

func (number) Network() string  { return "harness" }
func (n number) String() string { return fmt.Sprint("connection ", int(n)) }

// Number is the connection that a peer's address means, as the server sees it.
func Number(peer net.Addr) int { return int(peer.(number)) }

// OpenConns are the numbers of the connections that the server has now.
func (s *Server) OpenConns() []int {
	return locked(s, func() []int { return slices.Sorted(maps.Keys(s.open)) })
}

// GracefulStop accepts no more connections, tells the clients to go away, and returns
// when their RPCs have ended.
func (s *Server) GracefulStop() { s.present().GracefulStop() }

// accepting numbers the connections that it accepts.
type accepting struct {
	net.Listener
	s *Server
}

func (l accepting) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.s.count(c); c != nil {
			return c, nil
		}
		_ = c.Close()
	}
}

// count numbers a new connection, nil if it is to be closed.
func (s *Server) count(c net.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted++
	switch s.fault {
	case Flap:
		_, _ = c.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}) // empty SETTINGS: RFC 9113, 6.5
		return nil
	case Slam:
		return nil
	}
	s.open[s.accepted] = &conn{
		Conn: c, s: s, number: s.accepted, closed: make(chan struct{}),
		health: health.NewServer(), unsaid: s.limit,
	}
	return s.open[s.accepted]
}

type conn struct {
	net.Conn
	s      *Server
	number int
	health *health.Server
	dark   atomic.Int32 // a Darkness
	once   sync.Once
	closed chan struct{}

	out    sync.Mutex
	sent   boundary
	unsaid []byte // frames of the test's own, for the next boundary
}

func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		switch Darkness(c.dark.Load()) {
		case Swallow:
			if err == nil {
				continue
			}
		case Stall:
			<-c.closed
		}
		return n, err
	}
}

func (c *conn) Write(p []byte) (int, error) {
	if c.dark.Load() != 0 {
		return len(p), nil
	}
	c.out.Lock()
	defer c.out.Unlock()
	if !c.sent.follow(p) || c.unsaid == nil {
		return c.Conn.Write(p)
	}
	// In one piece: the client is to know of it as early as of the server's first frame.
	n, err := c.Conn.Write(append(slices.Clip(p), c.unsaid...))
	c.unsaid = nil
	return min(n, len(p)), err
}

// say sends a frame now, or when the server has sent the one that it is at.
func (c *conn) say(frame []byte) error {
	if c.dark.Load() != 0 {
		return nil
	}
	c.out.Lock()
	defer c.out.Unlock()
	if !c.sent.whole() {
		c.unsaid = append(slices.Clip(c.unsaid), frame...)
		return nil
	}
	_, err := c.Conn.Write(frame)
	return err
}

// A boundary follows HTTP/2 frames (RFC 9113, 4.1).
type boundary struct {
	head []byte // of a frame, as far as it was sent
	rest int    // of its payload
	any  bool   // frame was sent whole
}

// whole reports whether something was sent, and nothing in part.
func (b *boundary) whole() bool { return b.any && b.rest == 0 && len(b.head) == 0 }

func (b *boundary) follow(p []byte) (whole bool) {
	const headSize = 9
	for len(p) > 0 {
		if b.rest == 0 {
			n := min(headSize-len(b.head), len(p))
			b.head, p = append(b.head, p[:n]...), p[n:]
			if len(b.head) == headSize {
				b.rest = int(b.head[0])<<16 | int(b.head[1])<<8 | int(b.head[2])
				b.head, b.any = b.head[:0], true
			}
		}
		n := min(b.rest, len(p))
		b.rest, p = b.rest-n, p[n:]
	}
	return b.whole()
}

// Stop ends the server at once, as if its process were killed.
func (s *Server) Stop() { s.present().Stop() }

func (s *Server) present() *grpc.Server { return locked(s, func() *grpc.Server { return s.server }) }

func (c *conn) RemoteAddr() net.Addr { return number(c.number) }

func (c *conn) Close() error {
	locked(c.s, func() bool { delete(c.s.open, c.number); return true })
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
