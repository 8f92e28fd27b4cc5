// Package harness runs a gRPC server for tests, in memory or on a real socket,
// counts what reaches it, and breaks the way to it.
package harness

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/test/bufconn"
)

// Options say how the server runs.
type Options struct {
	TCP    bool        // a socket on 127.0.0.1, instead of memory
	Unix   bool        // a socket in the file system
	TLS    *tls.Config // of the server
	Server []grpc.ServerOption

	DialTime time.Duration // that each dial takes

	// Handle answers EmptyCall; conn numbers the connection that the call came
	// on, from 1 in the order of their making. Nil answers at once.
	Handle func(ctx context.Context, conn int) error

	// Register adds services beside the interop and health services.
	Register func(grpc.ServiceRegistrar)
}

// A Server serves grpc's interop test service.
type Server struct {
	grpc_testing.TestServiceServer
	grpc_health_v1.UnimplementedHealthServer
	opts     Options
	listener net.Listener
	server   *grpc.Server

	mu       sync.Mutex
	dials    int
	accepted int
	open     map[int]*conn
	calls    map[int]int
	streams  map[int]bool
	health   map[int]*health.Server
	fault    Fault
	mended   chan struct{} // closed when the fault Hang ends
}

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

// Start runs a server until the test ends.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	s := &Server{
		TestServiceServer: interop.NewTestServer(),
		opts:              opts,
		open:              make(map[int]*conn),
		calls:             make(map[int]int),
		streams:           make(map[int]bool),
		health:            make(map[int]*health.Server),
	}
	s.listener = opts.listen(t)
	serverOpts := opts.Server
	if opts.TLS != nil {
		serverOpts = append(serverOpts, grpc.Creds(credentials.NewTLS(opts.TLS)))
	}
	s.server = grpc.NewServer(serverOpts...)
	grpc_testing.RegisterTestServiceServer(s.server, s)
	grpc_health_v1.RegisterHealthServer(s.server, s)
	if opts.Register != nil {
		opts.Register(s.server)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.server.Serve(accepting{s.listener, s})
	}()
	t.Cleanup(func() {
		s.server.Stop()
		<-served
	})
	return s
}

func (o Options) listen(t testing.TB) net.Listener {
	network, address := "tcp", "127.0.0.1:0"
	switch {
	case o.Unix:
		dir, err := os.MkdirTemp("", "") // t.TempDir may be too long for a socket
		require.NoError(t, err)
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		network, address = "unix", filepath.Join(dir, "server.sock")
	case !o.TCP:
		return bufconn.Listen(1 << 16)
	}
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	return l
}

// Addr is the server's address; in memory any will do.
func (s *Server) Addr() string {
	if s.opts.TCP || s.opts.Unix {
		return s.listener.Addr().String()
	}
	return "server:443"
}

// NewClient returns a channel to s that uses serviceConfig, closed when the
// test ends.
func (s *Server) NewClient(t testing.TB, serviceConfig string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+s.Addr(), s.DialOptions(serviceConfig, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// DialOptions are those of NewClient: plaintext, unless opts say otherwise.
func (s *Server) DialOptions(serviceConfig string, opts ...grpc.DialOption) []grpc.DialOption {
	return append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(s.Dial),
		grpc.WithDefaultServiceConfig(serviceConfig),
	}, opts...)
}

// Policy is a service config that names the subpool policy.
func Policy(settings string) string {
	return fmt.Sprintf(`{"loadBalancingConfig":[{"subpool":%s}]}`, settings)
}

// Dial is the dialer of NewClient: it counts, and fails as Break said.
func (s *Server) Dial(ctx context.Context, addr string) (net.Conn, error) {
	s.mu.Lock()
	s.dials++
	fault, mended := s.fault, s.mended
	s.mu.Unlock()
	switch fault {
	case Refuse:
		return nil, errors.New("harness: connection refused")
	case Hang:
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-mended:
		}
	}
	if s.opts.DialTime > 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(s.opts.DialTime):
		}
	}
	if mem, ok := s.listener.(*bufconn.Listener); ok {
		return dialMemory(ctx, mem)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// dialing is held while an in-memory connection is made. Its deadlines are timers that
// fire at once; in a bubble of synctest these run where they are made, and two at a time
// crash the race detector (Go 1.26.8, SIGSEGV in time.AfterFunc).
var dialing sync.Mutex

func dialMemory(ctx context.Context, l *bufconn.Listener) (net.Conn, error) {
	dialing.Lock()
	defer dialing.Unlock()
	return l.DialContext(ctx)
}

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
// there have ended. The server itself must be quiet, as after synctest.Wait.
func (s *Server) GoAway(t testing.TB, conn int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	frame := []byte{0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0} // RFC 9113, 6.8
	_, err := s.open[conn].Write(frame)
	require.NoError(t, err)
}

// Allow tells a client, on a connection that is quiet, how many streams it may open
// from now on.
func (s *Server) Allow(t testing.TB, conn int, streams uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	frame := binary.BigEndian.AppendUint32([]byte{0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3}, streams) // RFC 9113, 6.5
	_, err := s.open[conn].Write(frame)
	require.NoError(t, err)
}

// Dials is the number of times that a client asked for a connection.
func (s *Server) Dials() int { return locked(s, func() int { return s.dials }) }

// Accepted is the number of connections that the server ever had.
func (s *Server) Accepted() int { return locked(s, func() int { return s.accepted }) }

// Open is the number of connections that the server has now.
func (s *Server) Open() int { return locked(s, func() int { return len(s.open) }) }

// Calls tells how many EmptyCalls came on each connection.
func (s *Server) Calls() map[int]int {
	return locked(s, func() map[int]int { return maps.Clone(s.calls) })
}

// Streams is the number of connections that ever carried a FullDuplexCall.
func (s *Server) Streams() int { return locked(s, func() int { return len(s.streams) }) }

// ResetCalls starts the counts of Calls anew.
func (s *Server) ResetCalls() {
	locked(s, func() bool { clear(s.calls); return true })
}

func locked[T any](s *Server, f func() T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}
