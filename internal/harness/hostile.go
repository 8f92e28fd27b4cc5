package harness

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/test/bufconn"
)

// A HostileServer says what it likes. What the client says is read and forgotten.
type HostileServer struct {
	TCP bool // a socket on 127.0.0.1, instead of memory

	// Say has a connection, of this number from 1 on, until it returns; then the
	// connection is closed. gone is closed when the client has closed it.
	Say func(conn int, c io.Writer, gone <-chan struct{})

	listener net.Listener
	serving  sync.WaitGroup
	dials    atomic.Int32
}

// Start serves until the test ends, when all that is said must come to an end.
func (s *HostileServer) Start(t testing.TB) {
	s.listener = bufconn.Listen(1 << 16)
	if s.TCP {
		var err error
		s.listener, err = net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
	}
	s.serving.Go(func() {
		for conn := 1; ; conn++ {
			c, err := s.listener.Accept()
			if err != nil {
				return
			}
			gone := make(chan struct{})
			s.serving.Go(func() {
				_, _ = io.Copy(io.Discard, c)
				close(gone)
			})
			s.serving.Go(func() {
				s.Say(conn, c, gone)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = s.listener.Close()
		s.serving.Wait()
	})
}

// Dials is how often a client asked for a connection.
func (s *HostileServer) Dials() int { return int(s.dials.Load()) }

// Dial is a dialer for grpc.WithContextDialer.
func (s *HostileServer) Dial(ctx context.Context, _ string) (net.Conn, error) {
	s.dials.Add(1)
	if mem, ok := s.listener.(*bufconn.Listener); ok {
		return dialMemory(ctx, mem)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", s.listener.Addr().String())
}
