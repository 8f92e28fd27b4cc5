package harness

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
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
func (s *Server) GracefulStop() { s.server.GracefulStop() }

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
	s.open[s.accepted] = &conn{Conn: c, s: s, number: s.accepted, closed: make(chan struct{})}
	return s.open[s.accepted]
}

type conn struct {
	net.Conn
	s      *Server
	number int
	dark   atomic.Int32 // a Darkness
	once   sync.Once
	closed chan struct{}
}

// A Darkness is how a connection behaves that is up and leads nowhere.
type Darkness int32

// The ways to go dark. There is none back.
const (
	Swallow Darkness = iota + 1 // what the client sends vanishes
	Stall                       // nobody takes what the client sends, until buffers are full
)

// Darken makes the connections with these numbers go dark.
func (s *Server) Darken(how Darkness, conns ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range conns {
		s.open[c].dark.Store(int32(how))
	}
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
	return c.Conn.Write(p)
}

// Stop ends the server at once, as if its process were killed.
func (s *Server) Stop() { s.server.Stop() }

func (c *conn) RemoteAddr() net.Addr { return number(c.number) }

func (c *conn) Close() error {
	locked(c.s, func() bool { delete(c.s.open, c.number); return true })
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
