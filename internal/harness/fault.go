package harness

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Fault is what happens to new connections.
type Fault int

// The faults of Break.
const (
	None   Fault = iota
	Refuse       // the dial fails
	Hang         // the dial neither succeeds nor fails
	Slam         // the connection is accepted and closed at once
	Flap         // the same, but with the server's SETTINGS first: gRPC calls it READY
)

// Break makes all connections fail from now on that are not yet there; None
// mends that.
func (s *Server) Break(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == Hang {
		close(s.mended)
	}
	s.fault, s.mended = f, make(chan struct{})
}

// Cut closes the connections with these numbers, or all.
func (s *Server) Cut(conns ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if conns == nil {
		for c := range s.open {
			conns = append(conns, c)
		}
	}
	for _, c := range conns {
		if open, ok := s.open[c]; ok {
			_ = open.Conn.Close() // not its own Close, which needs the mutex
		}
	}
}

// GoAway announces on a connection that the server closes it once the streams
// there have ended. No stream is refused.
func (s *Server) GoAway(t testing.TB, conn int) { require.NoError(t, s.Say(conn, GoAwayFrame)) }

// Allow tells a client, on one connection, how many streams it may open from now on.
func (s *Server) Allow(t testing.TB, conn int, streams uint32) {
	require.NoError(t, s.Say(conn, limitFrame(streams)))
}

// Limit tells all clients, and those that connect later at once, how many streams
// they may open on a connection.
func (s *Server) Limit(streams uint32) {
	conns := locked(s, func() []int {
		s.limit = limitFrame(streams)
		return slices.Collect(maps.Keys(s.open))
	})
	for _, conn := range conns {
		_ = s.Say(conn, limitFrame(streams)) // it may be gone by now
	}
}

// GoAwayFrame is a graceful GOAWAY: it refuses no stream (RFC 9113, 6.8).
var GoAwayFrame = []byte{0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0}

// limitFrame is a SETTINGS with MAX_CONCURRENT_STREAMS (RFC 9113, 6.5).
func limitFrame(streams uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3}, streams)
}

// Say sends a frame to the client, between two of the server's own. A client that
// does not read holds it up.
func (s *Server) Say(n int, frame []byte) error {
	c := locked(s, func() *conn { return s.open[n] })
	if c == nil {
		return fmt.Errorf("harness: connection %d is not open", n)
	}
	return c.say(frame)
}

// A Darkness is how a connection behaves that is up and leads nowhere.
type Darkness int32

// The ways to go dark. A connection stays so.
const (
	Swallow Darkness = iota + 1 // what the client sends vanishes
	Stall                       // what the client sends is not read, so that buffers fill up
)

// Darken makes the connections with these numbers go dark.
func (s *Server) Darken(how Darkness, conns ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range conns {
		s.open[c].dark.Store(int32(how))
	}
}
