package servers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
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

	mu      sync.Mutex
	made    int
	failed  int
	codes   map[codes.Code]int
	errors  map[string]int
	streams streams // that were open
}

// openPlain opens n channels without a policy.
func openPlain(t *testing.T, addr string, n int, opts ...grpc.DialOption) *client {
	return open(t, fmt.Sprintf("plain × %d", n), addr, "{}", n, n, opts...)
}

func openPool(t *testing.T, addr string, size int) *client { return openPools(t, addr, 1, size, "") }

// openPools opens n pools of this size, with more settings if there are any: `"name":value,…`.
func openPools(t *testing.T, addr string, n, size int, settings string, opts ...grpc.DialOption) *client {
	if settings != "" {
		settings = "," + settings
	}
	policy := harness.Policy(fmt.Sprintf(`{"size":%d%s}`, size, settings))
	return open(t, fmt.Sprintf("%d × pool of %d", n, size), addr, policy, n, n*size, opts...)
}

// open opens channels that serve, in plaintext unless opts say otherwise.
func open(t *testing.T, name, addr, serviceConfig string, channels, size int, opts ...grpc.DialOption) *client {
	t.Helper()
	c := &client{name: name, size: size, codes: make(map[codes.Code]int), errors: make(map[string]int)}
	for range channels {
		cc, err := grpc.NewClient("passthrough:///"+addr, append([]grpc.DialOption{
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultServiceConfig(serviceConfig),
			grpc.WithStatsHandler(watch{c}),
		}, opts...)...)
		require.NoError(t, err)
		t.Cleanup(func() { _ = cc.Close() })
		c.channels = append(c.channels, grpc_testing.NewTestServiceClient(cc))
	}
	errs, calls := make([]error, channels), sync.WaitGroup{}
	for n := range channels {
		calls.Go(func() { errs[n] = c.call(n, grpc.WaitForReady(true)) })
	}
	calls.Wait()
	require.NoError(t, errors.Join(errs...))
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

// A load is RPCs that begin whether earlier ones have ended or not: one in each interval,
// and at random up to jitter late.
type load struct {
	interval, jitter time.Duration
	rpcs             int
}

// play makes the RPCs on each client, at the same times, and returns when all have ended.
// Meanwhile it calls disturb so many times, at even distances.
func (l load) play(times int, disturb func(), clients ...*client) {
	var underWay sync.WaitGroup
	begin, chance, late := time.Now(), rand.New(rand.NewPCG(1, 1)), time.Duration(0)
	for n := range l.rpcs {
		if l.jitter > 0 {
			late = time.Duration(chance.Int64N(int64(l.jitter)))
		}
		time.Sleep(time.Until(begin.Add(l.interval*time.Duration(n) + late)))
		if n > 0 && n%(l.rpcs/(times+1)) == 0 && n/(l.rpcs/(times+1)) <= times {
			underWay.Go(disturb)
		}
		for _, c := range clients {
			underWay.Go(func() { c.count(c.call(n)) })
		}
	}
	underWay.Wait()
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
	s := fmt.Sprintf("%s: %d of %d failed; %d repeated, of which %d failed; %d connections made; at most %d RPCs on one, %d on all",
		c.name, c.failed, c.made, c.repeated.Load(), c.lost.Load(), c.conns.Load(), c.streams.mostOfOne, c.streams.most)
	if c.failed > 0 {
		s += fmt.Sprintf("\n\t%v\n\t%v", c.codes, c.errors)
	}
	return s
}
