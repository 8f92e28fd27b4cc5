package server

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// A listener counts connections, and fits them with what Options ask for.
type listener struct {
	net.Listener
	options  Options
	accepted atomic.Int64
	shared   turns // of a link that all connections have

	mu   sync.Mutex
	open []*darkConn // in the order of their making
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.accepted.Add(1)
	if l.options.Link != (Link{}) {
		t := new(turns)
		if l.options.Link.Shared {
			t = &l.shared
		}
		c = l.options.Link.fit(c, t)
	}
	if !l.options.Darkens {
		return c, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d := &darkConn{Conn: c, of: l}
	l.open = append(l.open, d)
	return d, nil
}

// darkenOne makes the oldest open connection go dark.
func (l *listener) darkenOne() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.open {
		if !c.dark.Swap(true) {
			return
		}
	}
}

// A darkConn can go dark: what comes on it vanishes, and nothing is sent.
type darkConn struct {
	net.Conn
	of   *listener
	dark atomic.Bool
}

func (c *darkConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.dark.Load() {
			return n, err
		}
	}
}

func (c *darkConn) Write(p []byte) (int, error) {
	if c.dark.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *darkConn) Close() error {
	c.of.mu.Lock()
	c.of.open = slices.DeleteFunc(c.of.open, func(o *darkConn) bool { return o == c })
	c.of.mu.Unlock()
	return c.Conn.Close()
}
