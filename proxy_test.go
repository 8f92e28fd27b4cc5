package subpool_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	grpcresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/grpc-subpool/subpool/internal/harness"
	"github.com/grpc-subpool/subpool/resolver"
)

// A tunnel is an HTTP proxy that takes CONNECT to anywhere to one server, and
// counts where it was asked to go.
type tunnel struct {
	net.Listener
	mu sync.Mutex
	to map[string]int
}

func startTunnel(t *testing.T, server string) *tunnel {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &tunnel{Listener: l, to: make(map[string]int)}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.connect(c, server)
		}
	}()
	return p
}

func (p *tunnel) connect(c net.Conn, server string) {
	defer c.Close()
	buffered := bufio.NewReader(c)
	request, err := http.ReadRequest(buffered)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.to[request.Host]++
	p.mu.Unlock()
	s, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer s.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(s, buffered) }()
	_, _ = io.Copy(c, s)
}

// twoNodes is a channel to two endpoints, which nothing but a proxy can reach, of
// sizes 2 and 6 in the eyes of their resolver and 3 in the settings.
func twoNodes(t *testing.T, opts ...grpc.DialOption) *grpc.ClientConn {
	r := manual.NewBuilderWithScheme("nodes")
	node := func(addr string, n int) grpcresolver.Endpoint {
		return resolver.WithSize(grpcresolver.Endpoint{Addresses: []grpcresolver.Address{{Addr: addr}}}, n)
	}
	r.InitialState(grpcresolver.State{Endpoints: []grpcresolver.Endpoint{node("192.0.2.1:443", 2), node("192.0.2.2:443", 6)}})
	cc, err := grpc.NewClient("nodes:///svc", append(opts, grpc.WithResolvers(r),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(harness.Policy(`{"size":3}`)))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

func TestWithoutAProxyEachEndpointHasItsOwnSize(t *testing.T) {
	s := harness.Start(t, harness.Options{TCP: true})
	var mu sync.Mutex
	to := make(map[string]int)
	cc := twoNodes(t, grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		mu.Lock()
		to[addr]++
		mu.Unlock()
		return s.Dial(ctx, s.Addr())
	}))
	waitForSpread(t, s, cc, 8)
	require.Equal(t, map[string]int{"192.0.2.1:443": 2, "192.0.2.2:443": 6}, to)
}

// gRPC erases the stamps behind a proxy, and gives both endpoints the proxy's address.
func TestBehindAProxyTheSettingsCount(t *testing.T) {
	if !behindAProxy() {
		to := runBehindAProxy(t)
		require.Equal(t, map[string]int{"192.0.2.1:443": 3, "192.0.2.2:443": 3}, to)
		return
	}
	cc, conns := twoNodes(t), make(map[string]bool)
	for len(conns) < 6 {
		var from peer.Peer
		require.NoError(t, emptyCall(cc, grpc.WaitForReady(true), grpc.Peer(&from)))
		conns[from.LocalAddr.String()] = true
	}
}

// A bad target must fail RPCs there, too, where gRPC loses the status.
func TestBehindAProxyABadTargetFailsTheFirstRPC(t *testing.T) {
	if !behindAProxy() {
		require.Empty(t, runBehindAProxy(t))
		return
	}
	for target, message := range badInput(t, true) {
		cc, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		require.ErrorContains(t, emptyCall(cc), message)
		require.ErrorContains(t, emptyCall(cc, grpc.WaitForReady(true)), message)
		require.NoError(t, cc.Close())
	}
}

// A target that is resolved here, and not by the proxy.
func TestBehindAProxyATargetMakesThePool(t *testing.T) {
	if !behindAProxy() {
		require.Equal(t, map[string]int{"192.0.2.1:443": 3}, runBehindAProxy(t))
		return
	}
	cc, err := grpc.NewClient("subpool:///192.0.2.1:443?size=3", grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer cc.Close()
	conns := make(map[string]bool)
	for len(conns) < 3 {
		var from peer.Peer
		require.NoError(t, emptyCall(cc, grpc.WaitForReady(true), grpc.Peer(&from)))
		conns[from.LocalAddr.String()] = true
	}
}

const proxied = "SUBPOOL_TEST_BEHIND_A_PROXY"

func behindAProxy() bool { return os.Getenv(proxied) != "" }

// runBehindAProxy runs a test once more, in a process of its own, for Go reads the
// proxy's address from the environment once. It tells where the proxy was asked to
// connect to.
func runBehindAProxy(t *testing.T) map[string]int {
	s := harness.Start(t, harness.Options{TCP: true})
	p := startTunnel(t, s.Addr())
	test := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=60s")
	test.Env = append(os.Environ(), proxied+"=yes", "NO_PROXY=", "HTTPS_PROXY=http://"+p.Addr().String())
	out, err := test.CombinedOutput()
	require.NoError(t, err, "%s", out)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.to
}
