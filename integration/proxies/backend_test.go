package proxies

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// A backend is a server behind a proxy. It tells channels apart by their names.
type backend struct {
	*harness.Server
	answer time.Duration // that an RPC takes

	mu       sync.Mutex
	calls    map[string]int
	inFlight map[string]int
	peak     map[string]int // of inFlight
}

func startBackend(t *testing.T, answer time.Duration) *backend {
	b := &backend{answer: answer, calls: make(map[string]int), inFlight: make(map[string]int), peak: make(map[string]int)}
	b.Server = harness.Start(t, harness.Options{TCP: true, Handle: b.handle})
	return b
}

func startBackends(t *testing.T, n int, answer time.Duration) (backends []*backend) {
	for range n {
		backends = append(backends, startBackend(t, answer))
	}
	return backends
}

func (b *backend) handle(ctx context.Context, _ int) error {
	md, _ := metadata.FromIncomingContext(ctx)
	name, _, _ := strings.Cut(md.Get("user-agent")[0], " ")
	b.count(name, 1)
	time.Sleep(b.answer)
	b.count(name, -1)
	return nil
}

func (b *backend) count(name string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight[name] += n
	b.peak[name] = max(b.peak[name], b.inFlight[name])
	b.calls[name] += max(n, 0)
}

// most is the largest number of RPCs of a channel that it answered at a time.
func (b *backend) most(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.peak[name]
}

// share tells what part of a channel's RPCs each backend got, in percent.
func share(backends []*backend, name string) (percent []float64) {
	sum := 0
	for _, b := range backends {
		b.mu.Lock()
		percent = append(percent, 100*float64(b.calls[name]))
		sum += b.calls[name]
		b.mu.Unlock()
	}
	for i := range percent {
		percent[i] /= float64(max(1, sum))
	}
	return percent
}

// forget starts the counts of share anew.
func forget(backends []*backend) {
	for _, b := range backends {
		b.mu.Lock()
		clear(b.calls)
		b.mu.Unlock()
	}
}

// listen returns a socket on a free port for a proxy to inherit: so no other program can
// take the port first, and clients that come before the proxy wait.
func listen(t *testing.T) (addr string, socket *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	require.NoError(t, err)
	// Not with File, which makes it block: nginx, which takes it for its own, would in accept.
	var fd int
	require.NoError(t, raw.Control(func(own uintptr) { fd, err = syscall.Dup(int(own)) }))
	require.NoError(t, err)
	syscall.CloseOnExec(fd)
	socket = os.NewFile(uintptr(fd), "listener")
	t.Cleanup(func() { _ = socket.Close() })
	return l.Addr().String(), socket
}
