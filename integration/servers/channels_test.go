package servers

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// A client is one of those that are compared: a pool, or channels that take turns.
type client struct {
	name     string
	size     int // connections at a time, but for those that are replaced
	channels []grpc_testing.TestServiceClient

	conns    atomic.Int32 // that were made
	repeated atomic.Int32 // attempts that gRPC made because the one before was refused
	lost     atomic.Int32 // those of them that failed, too

	mu     sync.Mutex
	made   int
	failed int
	codes  map[codes.Code]int
	errors map[string]int
}

// openPlain opens n channels without a policy.
func openPlain(t *testing.T, addr string, n int) *client {
	return open(t, fmt.Sprintf("plain × %d", n), addr, "{}", n, n)
}

func openPool(t *testing.T, addr string, size int) *client {
	return open(t, fmt.Sprintf("pool of %d", size), addr, harness.Policy(fmt.Sprintf(`{"size":%d}`, size)), 1, size)
}

// open opens channels that serve.
func open(t *testing.T, name, addr, serviceConfig string, channels, size int) *client {
	t.Helper()
	c := &client{name: name, size: size, codes: make(map[codes.Code]int), errors: make(map[string]int)}
	for n := range channels {
		cc, err := grpc.NewClient("passthrough:///"+addr,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultServiceConfig(serviceConfig),
			grpc.WithStatsHandler(watch{c}))
		require.NoError(t, err)
		t.Cleanup(func() { _ = cc.Close() })
		c.channels = append(c.channels, grpc_testing.NewTestServiceClient(cc))
		require.NoError(t, c.call(n, grpc.WaitForReady(true)))
	}
	return c
}

// rpcDeadline is long: an RPC that is late is no failure, one that hangs is.
const rpcDeadline = 20 * time.Second

// call makes RPC number n.
func (c *client) call(n int, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(context.Background(), rpcDeadline)
	defer cancel()
	_, err := c.channels[n%len(c.channels)].EmptyCall(ctx, &grpc_testing.Empty{}, opts...)
	return err
}

// play makes so many RPCs on each client, at the same rate and whether earlier ones have
// ended or not, and returns when all have.
func play(interval time.Duration, rpcs int, clients ...*client) {
	var rpcsUnderWay sync.WaitGroup
	begin := time.Now()
	for n := range rpcs {
		time.Sleep(time.Until(begin.Add(interval * time.Duration(n))))
		for _, c := range clients {
			rpcsUnderWay.Go(func() { c.count(c.call(n)) })
		}
	}
	rpcsUnderWay.Wait()
}

func (c *client) count(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made++
	if err != nil {
		c.failed++
		c.codes[status.Code(err)]++
		c.errors[status.Convert(err).Message()]++
	}
}

func (c *client) String() string {
	s := fmt.Sprintf("%s: %d of %d failed; %d repeated, of which %d failed; %d connections made",
		c.name, c.failed, c.made, c.repeated.Load(), c.lost.Load(), c.conns.Load())
	if c.failed > 0 {
		s += fmt.Sprintf("\n\t%v\n\t%v", c.codes, c.errors)
	}
	return s
}

// A watch counts what a client's connections and the attempts at its RPCs go through.
type watch struct{ *client }

// repeats is the context's key to whether an attempt is a repetition.
type repeats struct{}

func (watch) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, repeats{}, new(atomic.Bool))
}

func (w watch) HandleRPC(ctx context.Context, event stats.RPCStats) {
	repeats := ctx.Value(repeats{}).(*atomic.Bool)
	switch event := event.(type) {
	case *stats.Begin:
		if event.IsTransparentRetryAttempt {
			repeats.Store(true)
			w.repeated.Add(1)
		}
	case *stats.End:
		if repeats.Load() && event.Error != nil {
			w.lost.Add(1)
		}
	}
}

func (watch) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (w watch) HandleConn(_ context.Context, event stats.ConnStats) {
	if _, ok := event.(*stats.ConnBegin); ok {
		w.conns.Add(1)
	}
}
