//go:build linux

package service

import (
	"context"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// A channel leads to the ClusterIP.
type channel struct {
	*grpc.ClientConn

	mu       sync.Mutex
	conns    map[string]*net.TCPConn // all that were dialled, by their local addresses
	backends map[string]int          // of the connections that carried an RPC
}

// openPlain opens a channel without a policy.
func openPlain(t *testing.T, opts ...grpc.DialOption) *channel {
	t.Helper()
	return open(t, 1, opts...)
}

// openPool opens a pool of eight, with those settings beside.
func openPool(t *testing.T, settings string, opts ...grpc.DialOption) *channel {
	t.Helper()
	return open(t, 8, append(opts, grpc.WithDefaultServiceConfig(harness.Policy(`{"size":8`+settings+`}`)))...)
}

// open opens a channel whose n connections have all carried an RPC.
func open(t *testing.T, n int, opts ...grpc.DialOption) *channel {
	t.Helper()
	c := &channel{conns: make(map[string]*net.TCPConn), backends: make(map[string]int)}
	cc, err := grpc.NewClient("passthrough:///"+net.JoinHostPort(clusterIP, "443"), append(opts,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(c.dial))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	c.ClientConn = cc
	for len(c.known()) < n {
		_, err := c.call(time.Minute, grpc.WaitForReady(true))
		require.NoError(t, err)
	}
	return c
}

// openOnto opens channels until one is connected to that backend, and to another, too, if it
// has several connections.
func openOnto(backend int, open func() *channel) *channel {
	for {
		c := open()
		on := c.on(backend)
		if on > 0 && (on < len(c.known()) || len(c.known()) == 1) {
			return c
		}
		_ = c.Close()
	}
}

// dial hands out the connection as it is, for gRPC sets options of TCP on it, and without Go's
// keepalive of TCP, for gRPC's own dialer leaves that to the system.
func (c *channel) dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns[conn.LocalAddr().String()] = conn.(*net.TCPConn)
	return conn, nil
}

// call makes an RPC, and tells which backend has answered.
func (c *channel) call(deadline time.Duration, opts ...grpc.CallOption) (backend int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var p peer.Peer
	var header metadata.MD
	_, err = grpc_testing.NewTestServiceClient(c).EmptyCall(ctx, &grpc_testing.Empty{}, append(opts, grpc.Peer(&p), grpc.Header(&header))...)
	if err != nil {
		return 0, err
	}
	if backend, err = strconv.Atoi(header.Get(backendKey)[0]); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.backends[p.LocalAddr.String()] = backend
	return backend, nil
}

// known are the connections whose backend is known.
func (c *channel) known() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.backends))
}

// on counts the open connections to a backend, of those that have carried an RPC.
func (c *channel) on(backend int) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for addr, conn := range c.conns {
		if b, ok := c.backends[addr]; ok && b == backend && isOpen(conn) {
			n++
		}
	}
	return n
}

// isOpen reports whether this end has not closed conn.
func isOpen(conn *net.TCPConn) bool {
	raw, err := conn.SyscallConn()
	return err == nil && raw.Control(func(uintptr) {}) == nil
}
