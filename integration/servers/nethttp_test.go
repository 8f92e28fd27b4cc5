package servers

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// net/http ends a connection that is idle, and all when it is shut down, with a GOAWAY that
// refuses at once what it has not seen.
var netHTTP = []scenario{
	{
		part: "grpc-go's ServeHTTP, h2c", habit: "MaxConcurrentStreams 5", limit: 5,
		start: httpServer{handler: serveHTTP(50 * time.Millisecond), streams: 5}.start,
		load:  load{interval: time.Second / 150, rpcs: 600},
	},
	{
		part: "grpc-go's ServeHTTP, h2c", habit: "IdleTimeout 600 ms", ends: true, pools: 2, size: 16,
		start: httpServer{handler: serveHTTP(0), idle: 600 * time.Millisecond}.start,
		load:  nearly600,
	},
	{
		part: "grpc-go's ServeHTTP, h2c", habit: "Shutdown and a successor, three times", ends: true, disturbed: 3,
		start: httpServer{handler: serveHTTP(5 * time.Millisecond)}.start,
		load:  load{interval: time.Second / 300, rpcs: 1500},
	},
	{
		part: "grpc-go's ServeHTTP, TLS", habit: "Shutdown and a successor, three times", ends: true, disturbed: 3,
		start: httpServer{handler: serveHTTP(5 * time.Millisecond), tls: true}.start,
		load:  load{interval: time.Second / 300, rpcs: 1500},
	},
	{
		part: "connect-go, h2c", habit: "Shutdown and a successor, three times", ends: true, disturbed: 3,
		start: httpServer{handler: serveConnect(5 * time.Millisecond)}.start,
		load:  load{interval: time.Second / 300, rpcs: 1500},
	},
}

// An emptyService answers after a time.
type emptyService struct {
	grpc_testing.UnimplementedTestServiceServer
	takes time.Duration
}

func (s emptyService) EmptyCall(context.Context, *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	time.Sleep(s.takes)
	return &grpc_testing.Empty{}, nil
}

// serveHTTP is a gRPC server as a handler, which net/http gives its streams to.
func serveHTTP(answer time.Duration) http.Handler {
	s := grpc.NewServer()
	grpc_testing.RegisterTestServiceServer(s, emptyService{takes: answer})
	return s
}

func serveConnect(answer time.Duration) http.Handler {
	const method = "/grpc.testing.TestService/EmptyCall"
	mux := http.NewServeMux()
	mux.Handle(method, connect.NewUnaryHandler(method, func(context.Context, *connect.Request[grpc_testing.Empty]) (*connect.Response[grpc_testing.Empty], error) {
		time.Sleep(answer)
		return connect.NewResponse(&grpc_testing.Empty{}), nil
	}))
	return mux
}

// An httpServer is how net/http serves.
type httpServer struct {
	handler http.Handler
	streams int           // of a connection; net/http's own limit if 0
	idle    time.Duration // after which a connection is closed; never if 0
	tls     bool
}

func (h httpServer) start(t *testing.T) server {
	var ofServer, ofClients *tls.Config
	result := server{version: runtime.Version()}
	if h.tls {
		ofServer, ofClients = harness.TLS(t, "server.test")
		ofServer.NextProtos = []string{"h2"}
		result.creds = credentials.NewTLS(ofClients)
	}
	return succeed(t, result, func(l net.Listener) (stop func()) {
		protocols := new(http.Protocols)
		protocols.SetHTTP2(true)
		protocols.SetUnencryptedHTTP2(true)
		s := &http.Server{
			Handler: h.handler, Protocols: protocols, IdleTimeout: h.idle, TLSConfig: ofServer,
			HTTP2: &http.HTTP2Config{MaxConcurrentStreams: h.streams},
		}
		serve := func() error { return s.Serve(l) }
		if h.tls {
			serve = func() error { return s.ServeTLS(l, "", "") }
		}
		go func() { assert.ErrorIs(t, serve(), http.ErrServerClosed) }()
		return func() { assert.NoError(t, s.Shutdown(context.Background())) }
	})
}

// succeed serves, and whenever it is disturbed serves anew and ends what served before.
// Clients dial what was started last.
func succeed(t *testing.T, s server, serve func(net.Listener) (stop func())) server {
	var mu sync.Mutex
	var addr string
	var stop func()
	next := func() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if !assert.NoError(t, err) {
			return
		}
		mu.Lock()
		before := stop
		addr, stop = l.Addr().String(), serve(l)
		mu.Unlock()
		if before != nil {
			before()
		}
	}
	next()
	require.NotNil(t, stop)
	t.Cleanup(func() { stop() })
	s.disturb = next
	s.dial = func() (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		return net.Dial("tcp", addr)
	}
	return s
}
