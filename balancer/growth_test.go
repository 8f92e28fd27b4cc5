package balancer_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// burst keeps n RPCs in flight for as long as the server takes, and returns when
// they have ended.
func (c client) burst(n int) (failed []error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range n {
		wg.Go(func() {
			if err := c.call(); err != nil {
				mu.Lock()
				failed = append(failed, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return failed
}

// Guards: `call(l.signals.Demand)` in load.Load.reserveSlow; the demand would not be
// seen before the next sample. And `n == 0 && e.sizing.active` in lifecycle.Endpoint.Size.
func TestAPoolGrowsWithItsLoadAndIsIdleAfterIt(t *testing.T) {
	opts := harness.Options{Handle: taking(10 * time.Millisecond)}
	const settings = `{"minSize":0,"maxSize":4,"targetStreams":4,"idleTimeout":"10s"}`
	story(t, settings, opts, func(t *testing.T, c client) {
		require.Equal(t, 1, c.Open(), "the channel was told to connect")
		stop := c.load(16)
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, 4, c.Open())
		_, failed, _ := stop()
		require.Empty(t, failed)

		time.Sleep(11250 * time.Millisecond) // idleTimeout and two samples
		synctest.Wait()
		require.Zero(t, c.Open())
		require.Equal(t, connectivity.Idle, c.GetState())

		require.NoError(t, c.call())
		require.Equal(t, connectivity.Ready, c.GetState())
		require.Equal(t, 1, c.Open())
		require.Equal(t, 5, c.Accepted())
	})
}

// Guards: `p.signals.exitIdle.raise()` in ExitIdle.
func TestConnectWakesAnIdlePool(t *testing.T) {
	story(t, `{"minSize":0,"idleTimeout":"1s"}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		require.Equal(t, connectivity.Idle, c.GetState())
		c.Connect()
		synctest.Wait()
		require.Equal(t, connectivity.Ready, c.GetState())
	})
}

// Guards: `d = max(d, 1)` in lifecycle.Endpoint.Sample: such RPCs are never in flight when a
// sample is taken.
func TestAPoolInUseByShortRPCsDoesNotGoIdle(t *testing.T) {
	story(t, `{"minSize":0,"idleTimeout":"10s","maxLifetime":"0s"}`, harness.Options{}, func(t *testing.T, c client) {
		for range 100 {
			require.NoError(t, c.call())
			time.Sleep(3 * time.Second)
		}
		require.Equal(t, 1, c.Accepted())
	})
}

// Guards: `e.demand.window.peak()` in lifecycle.Endpoint.Size; by the present demand alone the
// pool would close and open connections with each turn. In turn, because drawing by
// chance leaves a connection out of a burst once in some hundred runs, and one that
// was silent for so long is replaced.
func TestALoadThatSawsCausesNoChurn(t *testing.T) {
	opts := harness.Options{Handle: taking(500 * time.Millisecond)}
	const settings = `{"minSize":1,"maxSize":16,"targetStreams":4,"idleTimeout":"2s","picker":"round_robin"}`
	story(t, settings, opts, func(t *testing.T, c client) {
		for range 6 {
			require.Empty(t, c.burst(30))
			require.Empty(t, c.burst(2))
		}
		// 30 RPCs call for ⌈1.25 × 30 ÷ 4⌉.
		require.Equal(t, 10, c.Accepted())
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 1, c.Open())
	})
}

// No RPC waits for a dial that hangs: the connections that are there carry the load.
func TestGrowthWhoseDialHangsHoldsNoRPCUp(t *testing.T) {
	opts := harness.Options{Handle: taking(10 * time.Millisecond)}
	story(t, `{"minSize":1,"maxSize":2,"targetStreams":4}`, opts, func(t *testing.T, c client) {
		c.Break(harness.Hang)
		stop := c.load(5)
		time.Sleep(30 * time.Second)
		_, failed, slowest := stop()
		require.Empty(t, failed)
		require.Equal(t, 10*time.Millisecond, slowest)
		require.Equal(t, 1, c.Open())
		require.Greater(t, c.Dials(), 1)
		c.Break(harness.None)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
	})
}

func TestConcurrentStartOfManyRPCsWakesAnIdlePool(t *testing.T) {
	story(t, `{"minSize":0,"maxSize":8,"targetStreams":10,"idleTimeout":"1s"}`, harness.Options{Handle: taking(time.Second)}, func(t *testing.T, c client) {
		for range 5 {
			time.Sleep(time.Minute)
			require.Zero(t, c.Open())
			require.Empty(t, c.burst(64))
			require.Equal(t, 8, c.Open())
		}
	})
}

// Guards: `e.clock.reached(s.attempt.nextAt)` in lifecycle.Endpoint.tryAddresses; the address
// that does not answer would be tried alone for 20 s.
func TestAnAddressThatDoesNotAnswerHoldsNoRPCUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dark := harness.Start(t, harness.Options{})
		dark.Break(harness.Hang)
		s := harness.Start(t, harness.Options{})
		dial := func(ctx context.Context, addr string) (net.Conn, error) {
			if addr == "dark:1" {
				return dark.Dial(ctx, addr)
			}
			return s.Dial(ctx, addr)
		}
		r := manual.NewBuilderWithScheme("test")
		r.InitialState(resolver.State{Endpoints: []resolver.Endpoint{{Addresses: []resolver.Address{{Addr: "dark:1"}, {Addr: "a:1"}}}}})
		cc := channelOf(t, s, r, harness.Policy(`{"size":3}`), grpc.WithContextDialer(dial))
		c := client{t, cc, s}
		begin := time.Now()
		require.NoError(t, c.call())
		require.Equal(t, 250*time.Millisecond, time.Since(begin))
		synctest.Wait()
		require.Equal(t, 3, s.Open())
		require.Equal(t, 3, dark.Dials())

		s.Cut()
		time.Sleep(3 * time.Second)
		require.Equal(t, 3, s.Open())
	})
}
