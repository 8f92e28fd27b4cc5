package proxies

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// A channel is one of those that are compared.
type channel struct {
	*grpc.ClientConn
	name string
	from net.TCPAddr // of this channel alone: a port is used again a second after its connection

	mu    sync.Mutex
	conns []string // local addresses, in the order of dialling
}

// openPlain opens a channel without a policy.
func openPlain(t *testing.T, addr string) *channel {
	return openChannel(t, "plain", addr, "{}")
}

func openPool(t *testing.T, addr, settings string) *channel {
	return openChannel(t, "pool", addr, harness.Policy(settings))
}

var channels atomic.Uint32

// openChannel opens a channel that serves. Its name is its user agent, too.
func openChannel(t *testing.T, name, addr, serviceConfig string) *channel {
	t.Helper()
	c := &channel{name: name, from: net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(channels.Add(1)))}}
	cc, err := grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithUserAgent(name),
		grpc.WithContextDialer(c.dial))
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	c.ClientConn = cc
	_, err = c.call(grpc.WaitForReady(true))
	require.NoError(t, err)
	return c
}

func (c *channel) dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{LocalAddr: &c.from}).DialContext(ctx, "tcp", addr)
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.conns = append(c.conns, conn.LocalAddr().String())
	}
	return conn, err
}

// dialled is the local addresses of all connections that were made.
func (c *channel) dialled() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clip(c.conns)
}

// rpcDeadline is long: an RPC that is late is no failure, one that hangs is.
const rpcDeadline = 20 * time.Second

// call makes an RPC, and tells the local address of its connection if it had one.
func (c *channel) call(opts ...grpc.CallOption) (conn string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), rpcDeadline)
	defer cancel()
	var p peer.Peer
	_, err = grpc_testing.NewTestServiceClient(c).EmptyCall(ctx, &grpc_testing.Empty{}, append(opts, grpc.Peer(&p))...)
	if p.LocalAddr != nil {
		conn = p.LocalAddr.String()
	}
	return conn, err
}

// spread makes RPCs until n connections have carried one.
func (c *channel) spread(t *testing.T, n int) {
	t.Helper()
	seen := make(map[string]bool)
	for range 100_000 {
		conn, err := c.call()
		require.NoError(t, err)
		if seen[conn] = true; len(seen) == n {
			return
		}
	}
	require.FailNow(t, "RPCs do not spread", "%d connections, not %d", len(seen), n)
}
