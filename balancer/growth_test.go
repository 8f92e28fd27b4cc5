package balancer_test

import (
	"context"
	"fmt"
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

// Guards: `call(l.gate.Pressure)` in picker.Load.notable; nobody would see the demand
// before the next sample. And `n == 0 && e.awake` in endpoint.size.
func TestAPoolGrowsWithItsLoadAndSleepsAfterIt(t *testing.T) {
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

// Guards: `p.roused.raise()` in ExitIdle.
func TestConnectWakesAPoolThatSleeps(t *testing.T) {
	story(t, `{"minSize":0,"idleTimeout":"1s"}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		require.Equal(t, connectivity.Idle, c.GetState())
		c.Connect()
		synctest.Wait()
		require.Equal(t, connectivity.Ready, c.GetState())
	})
}

// Guards: `demand = max(demand, 1)` in endpoint.sample: such RPCs are never in
// flight when somebody looks.
func TestAPoolInUseByShortRPCsDoesNotSleep(t *testing.T) {
	story(t, `{"minSize":0,"idleTimeout":"10s","maxLifetime":"0s"}`, harness.Options{}, func(t *testing.T, c client) {
		for range 100 {
			require.NoError(t, c.call())
			time.Sleep(3 * time.Second)
		}
		require.Equal(t, 1, c.Accepted())
	})
}

// Guards: `e.window.peak()` in endpoint.size; by the present demand alone the
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

// Guards: `idleAt.Before(at)` in slot.expiry.
func TestUnusedConnectionsWithinMinSizeAreRefreshed(t *testing.T) {
	story(t, `{"size":2,"idleTimeout":"0.5s"}`, harness.Options{}, func(t *testing.T, c client) {
		for range 250 {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			require.Equal(t, 2, c.Open())
		}
		t.Logf("%d connections made in 2.5 s", c.Accepted())
		// A life is 0.375 to 0.5 s, less a sixteenth.
		require.InDelta(t, 2+2*2.5/0.41, c.Accepted(), 2.5)
	})
}

// What the last hour called for stays for a while, but what is to stay for good is never
// silent for idleTimeout.
//
// Guards: `s.keeps = true` in endpoint.keep, and `false`: what will be closed is not
// replaced before.
func TestUnusedConnectionsWithinMinSizeAreRefreshedThoughThePoolWasLargerOfLate(t *testing.T) {
	const settings = `{"minSize":2,"maxSize":8,"targetStreams":10,"idleTimeout":"240s","maxLifetime":"0s"}`
	story(t, settings, harness.Options{Handle: lasting(30 * time.Second)}, func(t *testing.T, c client) {
		ended := c.begin(60)
		time.Sleep(29 * time.Second)
		require.Equal(t, 8, c.Open())
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, ended(), 60)
		for range 240 + 15 {
			time.Sleep(time.Second)
			p, lively := shown(t), 0
			for _, s := range p.Endpoints[0].Subchannels {
				if s.State == "ready" && p.At.Sub(*s.LastUse) < 240*time.Second {
					lively++
				}
			}
			require.GreaterOrEqual(t, lively, 2)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 2, c.Open())
		retired := shown(t).Totals.Retired
		require.Equal(t, []int64{2, 6}, []int64{retired["idle"], retired["shrink"]})
		require.Equal(t, 8+2, c.Accepted())
	})
}

// Guards: `s.used, s.runs, used = now, starts, true` in endpoint.sample.
func TestAConnectionInUseIsNotRefreshed(t *testing.T) {
	story(t, `{"size":1,"idleTimeout":"1s"}`, harness.Options{}, func(t *testing.T, c client) {
		for range 100 {
			require.NoError(t, c.call())
			time.Sleep(200 * time.Millisecond)
		}
		require.Equal(t, 1, c.Accepted())
		end := c.stream()
		time.Sleep(10 * time.Second)
		require.Equal(t, 1, c.Accepted(), "a silent stream is use")
		end()
	})
}

// Guards: `e.discard` in endpoint.retireSurplus never being asked for a due slot
// while its successor is missing.
func TestUnusedConnectionsAreKeptWhenNoOtherCanBeMade(t *testing.T) {
	story(t, `{"size":2,"idleTimeout":"1s"}`, harness.Options{}, func(t *testing.T, c client) {
		c.Break(harness.Refuse)
		time.Sleep(time.Minute)
		require.Equal(t, 2, c.Open())
		require.Equal(t, 2, c.Accepted())
		require.NoError(t, c.call())
	}, grpc.WithIdleTimeout(0))
}

// Nobody waits for a dial that hangs: what is there carries the load.
func TestGrowthWhoseDialHangsHoldsNobodyUp(t *testing.T) {
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

// Guards: `p.cc.ResolveNow` for asksLocked.
func TestTheResolverIsAskedAtResolveInterval(t *testing.T) {
	for interval, want := range map[string]float64{"0s": 0, "30s": 120} {
		synctest.Test(t, func(t *testing.T) {
			s := harness.Start(t, harness.Options{})
			asked, config := 0, fmt.Sprintf(`{"idleTimeout":"0s","maxLifetime":"0s","resolveInterval":%q}`, interval)
			r := resolverOf("a:1")
			r.ResolveNowCallback = countTo(&asked)
			cc := channelOf(t, s, r, harness.Policy(config), grpc.WithIdleTimeout(0))
			cc.Connect()
			time.Sleep(time.Hour)
			synctest.Wait()
			require.InDelta(t, want, asked, want/20)
		})
	}
}

// The settings change by service configs that the resolver sends, under load.
//
// Guards: `e.adopt(…)` in setEndpointsLocked.
func TestEverySettingChangesInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{Handle: taking(10 * time.Millisecond)})
		r := resolverOf("a:1")
		cc := channelOf(t, s, r, harness.Policy(`{"size":2}`))
		c := client{t, cc, s}
		c.Connect()
		synctest.Wait()
		stop := c.load(16)
		for _, step := range []struct {
			settings       string
			after          time.Duration
			open, accepted int // accepted 0 is not looked at
		}{
			{`{"size":2}`, time.Second, 2, 2},
			{`{"size":6}`, time.Second, 6, 6},
			{`{"size":6,"picker":"round_robin"}`, time.Second, 6, 6},
			{`{"size":6,"maxLifetime":"10m","lifetimeJitter":0.1,"idleTimeout":"1m"}`, time.Second, 6, 6},
			{`{"size":3}`, time.Second, 3, 6},
			{`{"minSize":1,"maxSize":8,"targetStreams":4}`, time.Second, 5, 8},
			{`{"minSize":1,"maxSize":8,"targetStreams":20,"idleTimeout":"1s"}`, 2 * time.Second, 1, 8},
			{`{"minSize":4,"maxSize":8,"idleTimeout":"1s"}`, 2 * time.Second, 4, 11},
			{`{"size":2,"maxLifetime":"0.5s"}`, 10 * time.Second, 2, 0},
		} {
			r.UpdateState(withConfig(r, step.settings))
			time.Sleep(step.after)
			if step.accepted > 0 { // else some may be draining
				require.Equal(t, step.open, s.Open(), step.settings)
				require.Equal(t, step.accepted, s.Accepted(), step.settings)
			}
		}
		require.Greater(t, s.Accepted(), 40, "lives of half a second")
		_, failed, slowest := stop()
		require.Empty(t, failed)
		require.Less(t, slowest, time.Second)
	})
}

// Guards: the matching in setEndpointsLocked.
func TestEndpointsComeAndGoUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{Handle: taking(10 * time.Millisecond)})
		r := resolverOf("a:1")
		cc := channelOf(t, s, r, harness.Policy(`{"size":2}`))
		c := client{t, cc, s}
		stop := c.load(16)
		time.Sleep(time.Second)
		orders := [][]string{{"a:1"}, {"a:1", "b:1", "c:1"}, {"c:1", "a:1", "b:1"}, {"b:1", "c:1", "a:1"}, {"a:1"}}
		for i := range 50 {
			r.UpdateState(addresses(orders[i%len(orders)]...))
			time.Sleep(50 * time.Millisecond)
		}
		_, failed, _ := stop()
		require.Empty(t, failed)
		require.Equal(t, 2+10*4, s.Accepted(), "b and c come ten times; a stays")
		require.Equal(t, 2, s.Open())
	})
}

func TestConcurrentStartOfManyRPCsWakesASleeper(t *testing.T) {
	story(t, `{"minSize":0,"maxSize":8,"targetStreams":10,"idleTimeout":"1s"}`, harness.Options{Handle: taking(time.Second)}, func(t *testing.T, c client) {
		for range 5 {
			time.Sleep(time.Minute)
			require.Zero(t, c.Open())
			require.Empty(t, c.burst(64))
			require.Equal(t, 8, c.Open())
		}
	})
}

// Guards: `consider(s.race.nextAt)` in endpoint.deadline; the black-holed address
// would be tried for 20 s.
func TestAnAddressThatIsDarkHoldsNobodyUp(t *testing.T) {
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

// Guards: `addr.Addresses = known[key][i].addr.Addresses` in setEndpointsLocked:
// after a shuffle the pool would try one address twice and the other never.
func TestAddressesThatAreShuffledStayAlternatives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := harness.Start(t, harness.Options{}), harness.Start(t, harness.Options{})
		dial := func(ctx context.Context, addr string) (net.Conn, error) {
			if addr == "first:1" {
				return first.Dial(ctx, addr)
			}
			return second.Dial(ctx, addr)
		}
		endpoint := func(addrs ...string) (s resolver.State) {
			return resolver.State{Endpoints: []resolver.Endpoint{{Addresses: addresses(addrs...).Addresses}}}
		}
		r := manual.NewBuilderWithScheme("test")
		r.InitialState(endpoint("first:1", "second:1"))
		cc := channelOf(t, first, r, harness.Policy(`{"size":2}`), grpc.WithContextDialer(dial))
		cc.Connect()
		time.Sleep(time.Minute)
		r.UpdateState(endpoint("second:1", "first:1"))
		first.Break(harness.Refuse)
		first.Cut()
		time.Sleep(time.Second)
		require.Equal(t, 2, second.Open())
	})
}
