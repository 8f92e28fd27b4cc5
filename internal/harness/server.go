// Package harness runs a gRPC server for tests, in memory or on a real socket,
// counts what reaches it, and breaks the way to it.
package harness

import (
	"context"
	"crypto/tls"
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
	opts    Options
	serving sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener
	server   *grpc.Server
	dials    int
	accepted int
	open     map[int]*conn
	calls    map[int]int
	streams  map[int]bool
	fault    Fault
	mended   chan struct{} // closed when the fault Hang ends
	limit    []byte        // the SETTINGS of Limit, nil if it was never called
}

// Start runs a server until the test ends.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	s := &Server{
		TestServiceServer: interop.NewTestServer(),
		opts:              opts,
		open:              make(map[int]*conn),
		calls:             make(map[int]int),
		streams:           make(map[int]bool),
	}
	s.serve(opts.listen(t))
	t.Cleanup(func() {
		s.Stop()
		s.serving.Wait()
	})
	return s
}

// serve makes a new server the one that is dialled.
func (s *Server) serve(l net.Listener) {
	opts := s.opts.Server
	if s.opts.TLS != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(s.opts.TLS)))
	}
	server := grpc.NewServer(opts...)
	grpc_testing.RegisterTestServiceServer(server, s)
	grpc_health_v1.RegisterHealthServer(server, s)
	if s.opts.Register != nil {
		s.opts.Register(server)
	}
	s.serving.Go(func() { _ = server.Serve(accepting{l, s}) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server, s.listener = server, l
}

// Replace starts a new server, in memory, that is dialled from now on, and returns
// the old one for the test to stop.
func (s *Server) Replace() (old *grpc.Server) {
	old = s.present()
	s.serve(bufconn.Listen(pipeSize))
	return old
}

func (o Options) listen(t testing.TB) net.Listener {
	network, address := "tcp", "127.0.0.1:0"
	switch {
	case o.Unix:
		dir, err := os.MkdirTemp("", "") //nolint:usetesting // t.TempDir may be too long for a socket
		require.NoError(t, err)
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		network, address = "unix", filepath.Join(dir, "server.sock")
	case !o.TCP:
		return bufconn.Listen(pipeSize)
	}
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	return l
}

// pipeSize is how much of what was sent an in-memory connection holds each way.
const pipeSize = 1 << 16

// Addr is the server's address; in memory any will do.
func (s *Server) Addr() string {
	if s.opts.TCP || s.opts.Unix {
		return locked(s, func() net.Listener { return s.listener }).Addr().String()
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
	fault, mended, listener := s.fault, s.mended, s.listener
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
	if mem, ok := listener.(*bufconn.Listener); ok {
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

// ResetCalls starts what Calls and Streams count anew.
func (s *Server) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.calls)
	clear(s.streams)
}

func locked[T any](s *Server, f func() T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}
