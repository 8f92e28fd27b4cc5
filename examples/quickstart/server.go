package main

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
)

// A server keeps account of its connections. It serves gRPC's standard health
// service only because that needs no generated code: Check stands for any RPC.
type server struct {
	healthpb.UnimplementedHealthServer
	address string
	grpc    *grpc.Server
	served  chan error // what Serve returned

	mu          sync.Mutex
	connections []*connection // in the order in which they were made
	byPeer      map[string]*connection
}

// A connection is what the server knows of one.
type connection struct {
	rpcs   int
	closed bool
	dark   *atomic.Bool // what comes on it vanishes, and nothing is sent
}

func startServer() (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{
		address: listener.Addr().String(),
		grpc:    grpc.NewServer(grpc.MaxConcurrentStreams(streamsPerConnection)),
		served:  make(chan error, 1),
		byPeer:  make(map[string]*connection),
	}
	healthpb.RegisterHealthServer(s.grpc, s)
	go func() { s.served <- s.grpc.Serve(countingListener{listener, s}) }()
	return s, nil
}

func (s *server) stop() error {
	s.grpc.Stop()
	return <-s.served
}

// Check takes its time, as a real RPC does, and counts for the connection that
// it came on.
func (s *server) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return nil, errors.New("an RPC without a peer")
	}
	s.mu.Lock()
	s.byPeer[from.Addr.String()].rpcs++
	s.mu.Unlock()

	time.Sleep(workTime)
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}

// seen returns all connections so far, oldest first.
func (s *server) seen() connections {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all connections
	for _, c := range s.connections {
		all = append(all, *c)
	}
	return all
}

type connections []connection

func (all connections) closed() int {
	closed := 0
	for _, c := range all {
		if c.closed {
			closed++
		}
	}
	return closed
}

// firstReplaced returns how many of the connections that a pool began with are
// gone.
func (all connections) firstReplaced() int {
	return all[:min(poolSize, len(all))].closed()
}

// spread returns the share of the least and of the most used connection, in
// percent of an even share.
func (all connections) spread() (fewest, most float64) {
	var rpcs []int
	sum := 0
	for _, c := range all {
		rpcs = append(rpcs, c.rpcs)
		sum += c.rpcs
	}
	if sum == 0 {
		return 0, 0
	}
	even := float64(sum) / float64(len(all))
	return 100 * float64(slices.Min(rpcs)) / even, 100 * float64(slices.Max(rpcs)) / even
}

// countingListener tells the server of each connection that is made or closed.
type countingListener struct {
	net.Listener
	server *server
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	c := &connection{dark: new(atomic.Bool)}
	l.server.connections = append(l.server.connections, c)
	l.server.byPeer[conn.RemoteAddr().String()] = c
	return countingConn{conn, l.server, c}, nil
}

type countingConn struct {
	net.Conn
	server     *server
	connection *connection
}

func (c countingConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.connection.dark.Load() {
			return n, err
		}
	}
}

func (c countingConn) Write(p []byte) (int, error) {
	if c.connection.dark.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c countingConn) Close() error {
	c.server.mu.Lock()
	c.connection.closed = true
	c.server.mu.Unlock()
	return c.Conn.Close()
}
