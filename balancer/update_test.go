package balancer_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver/manual"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// Guards: `due := p.resolveDueLocked(now)` in resolvesLocked.
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
// Guards: `e.SetSettings(…)` in setEndpointsLocked.
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
			open, accepted int // accepted 0 is not compared
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

// Guards: `sameEndpoint(e.addr, addr)` in setEndpointsLocked.
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

// Guards: `inOrderOf(e.addr.Addresses, addr.Addresses)` in endpoint.list: after a shuffle the
// pool would try one address twice and the other never.
func TestAddressesThatAreShuffledStayAlternatives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := harness.Start(t, harness.Options{}), harness.Start(t, harness.Options{})
		dial := func(ctx context.Context, addr string) (net.Conn, error) {
			if addr == "first:1" {
				return first.Dial(ctx, addr)
			}
			return second.Dial(ctx, addr)
		}
		r := manual.NewBuilderWithScheme("test")
		r.InitialState(alternatives("first:1", "second:1"))
		cc := channelOf(t, first, r, harness.Policy(`{"size":2}`), grpc.WithContextDialer(dial))
		cc.Connect()
		time.Sleep(time.Minute)
		r.UpdateState(alternatives("second:1", "first:1"))
		first.Break(harness.Refuse)
		first.Cut()
		time.Sleep(time.Second)
		require.Equal(t, 2, second.Open())
	})
}

// One address refuses the dial, the dial of the other one hangs for 20 s. Meanwhile the first would answer.
//
// Guards: `e.TryAgain()` in setEndpointsLocked, whatever else the update says: UNAVAILABLE after 20 s.
func TestAResolverUpdateTriesTheAddressesThatFailedAgain(t *testing.T) {
	for name, serviceConfig := range map[string]string{
		"pick_first": `{"loadBalancingConfig":[{"pick_first":{}}]}`,
		"size 1":     harness.Policy(`{"size":1}`),
		"size 4":     harness.Policy(`{"size":4}`),

		"other settings": harness.Policy(`{"size":4}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := harness.Start(t, harness.Options{})
				s.Break(harness.Refuse)
				dial := func(ctx context.Context, addr string) (net.Conn, error) {
					if addr == "hangs:1" {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					return s.Dial(ctx, addr)
				}
				r := manual.NewBuilderWithScheme("test")
				r.InitialState(alternatives("refuses:1", "hangs:1"))
				c := client{t, channelOf(t, s, r, serviceConfig, grpc.WithContextDialer(dial)), s}
				time.AfterFunc(10*time.Second, func() {
					s.Break(harness.None)
					state := alternatives("refuses:1", "hangs:1")
					if name == "other settings" {
						state.ServiceConfig = r.CC().ParseServiceConfig(harness.Policy(`{"size":4,"maxLifetime":"30m"}`))
					}
					r.UpdateState(state)
				})
				code, took := c.waits()
				require.Equal(t, codes.OK, code)
				require.Equal(t, 10*time.Second, took.Truncate(time.Second))
			})
		})
	}
}

// The resolver answers each 10 ms, for 10 s. An attempt that is under way is none that may be made again, nor is
// an address that accepts and closes.
//
// Guards: `case addressIdle, addressConnecting` in lifecycle's happyEyeballs.try: 8 dials and 32;
// `s.attempt.ended(address, addressLost)` in lostConnecting: 926.
func TestResolverUpdatesCostNoDials(t *testing.T) {
	for _, tt := range []struct {
		name, settings string
		fault          harness.Fault
		dial           time.Duration
		addrs          []string
		dials          int // at most
	}{
		{"they take long, size 1", `{"size":1}`, harness.None, 100 * time.Millisecond, []string{"a:1", "b:1", "c:1"}, 1},
		{"they take long, size 4", `{"size":4}`, harness.None, 100 * time.Millisecond, []string{"a:1", "b:1", "c:1"}, 4},
		{"it accepts and closes", `{"size":1}`, harness.Flap, 15 * time.Millisecond, []string{"a:1"}, 10},
		{"one accepts and closes, the other hangs", `{"size":4}`, harness.Flap, 15 * time.Millisecond, []string{"a:1", "hangs:1"}, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := harness.Start(t, harness.Options{})
				s.Break(tt.fault)
				state := alternatives(tt.addrs...)
				var dials atomic.Int32
				dial := func(ctx context.Context, addr string) (net.Conn, error) {
					dials.Add(1)
					if addr == "hangs:1" {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					select {
					case <-ctx.Done():
						return nil, ctx.Err()
					case <-time.After(tt.dial):
						return s.Dial(ctx, addr)
					}
				}
				r := manual.NewBuilderWithScheme("test")
				r.InitialState(state)
				channelOf(t, s, r, harness.Policy(tt.settings), grpc.WithContextDialer(dial)).Connect()
				for range 1000 {
					time.Sleep(10 * time.Millisecond)
					r.UpdateState(state)
				}
				require.LessOrEqual(t, int(dials.Load()), tt.dials)
			})
		})
	}
}
