package balancer_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// Guards: `case size == 0` in lifecycle.Endpoint.Plan: the outage before the pool was idle
// would be the first RPC's error, hours later.
func TestAPoolThatWentIdleInAnOutageWakesWithoutIt(t *testing.T) {
	story(t, `{"minSize":0,"idleTimeout":"10s"}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		c.Break(harness.Refuse)
		require.Error(t, c.call())
		time.Sleep(time.Hour)
		require.Equal(t, connectivity.Idle, c.GetState())
		c.Break(harness.None)
		require.NoError(t, c.call())
	}, grpc.WithIdleTimeout(0))
}

// Guards: `!e.has(Ready) && …` in lifecycle.Endpoint.Sample: the pool would go idle during
// its attempt, again and again.
func TestADialMayTakeLongerThanIdleTimeout(t *testing.T) {
	opts := harness.Options{DialTime: 3 * time.Second}
	story(t, `{"minSize":0,"idleTimeout":"1s"}`, opts, func(t *testing.T, c client) {
		require.NoError(t, c.call())
		require.Equal(t, 1, c.Dials())
	})
}

// Guards: `if x.sum.active` in setEndpointsLocked.
func TestAPoolInUseDoesNotGoIdleWhenAllItsEndpointsAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		r := resolverOf("a:1")
		cc := channelOf(t, s, r, harness.Policy(`{"minSize":0}`))
		require.NoError(t, client{t, cc, s}.call())
		r.UpdateState(addresses("b:1"))
		time.Sleep(time.Second)
		require.Equal(t, connectivity.Ready, cc.GetState())
		require.Equal(t, 1, s.Open())
	})
}

// Guards: `!p.hasEndpointLocked()` in wakeEndpointsLocked.
func TestConnectIsNotForgottenWhileThereIsNoEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		r := resolverOf()
		cc := channelOf(t, s, r, harness.Policy(`{"minSize":0}`))
		cc.Connect()
		synctest.Wait()
		r.UpdateState(addresses("a:1"))
		synctest.Wait()
		require.Equal(t, connectivity.Ready, cc.GetState())
	})
}

// Guards: `e.calledFor()` in lifecycle.Endpoint.watermark: between two samples the spikes
// would not be seen, and the pool would shrink and grow with each.
func TestShortSpikesCauseNoChurn(t *testing.T) {
	opts := harness.Options{Handle: taking(50 * time.Millisecond)}
	story(t, `{"maxSize":8,"targetStreams":5,"idleTimeout":"16s","maxLifetime":"0s"}`, opts, func(t *testing.T, c client) {
		for range 120 {
			require.Empty(t, c.burst(32))
			time.Sleep(time.Second)
		}
		require.Equal(t, 8, c.Accepted())
	})
}

// Guards: `s.conn.observed + e.plan.Watermark` in setWatermarkLocked: a connection tells of
// what it carries beyond what was observed, not of what it carries in all.
func TestGrowthIsNoticedBesideAConnectionThatIsFullAlready(t *testing.T) {
	const settings = `{"maxSize":4,"targetStreams":10,"idleTimeout":"0s","maxLifetime":"0s"}`
	story(t, settings, harness.Options{}, func(t *testing.T, c client) {
		for range 12 {
			defer c.stream()()
		}
		require.Equal(t, 2, c.Open())
		for range 8 {
			defer c.stream()()
		}
		time.Sleep(time.Second)
		require.Equal(t, 3, c.Open(), "20 in flight call for ⌈1.25 × 20 ÷ 10⌉")
	})
}

// Guards: `e.sizing.previous.peak()` in lifecycle.Endpoint.Size.
func TestNewSettingsCloseNothingThatTheyAllow(t *testing.T) {
	for timeout, want := range map[string]int{"10s": 1, "0s": 4} {
		synctest.Test(t, func(t *testing.T) {
			s := harness.Start(t, harness.Options{})
			r := resolverOf("a:1")
			cc := channelOf(t, s, r, harness.Policy(`{"size":4}`))
			cc.Connect()
			synctest.Wait()
			r.UpdateState(withConfig(r, `{"minSize":1,"maxSize":4,"idleTimeout":"`+timeout+`"}`))
			synctest.Wait()
			require.Equal(t, 4, s.Open())
			time.Sleep(time.Minute)
			require.Equal(t, want, s.Open())
		})
	}
}

// Guards: `p.schedule.nextResolve = time.Time{}` in UpdateClientConnState,
// `w.next.After(now.Add(part))` in lifecycle's window.observe, and that no other time is kept
// from older settings.
func TestTimesChangeInPlaceUpAndDown(t *testing.T) {
	const quiet = `"idleTimeout":"0s","maxLifetime":"0s","resolveInterval":"0s"`
	for name, active := range map[string]string{
		"maxLifetime":     `"idleTimeout":"0s","maxLifetime":"1s","resolveInterval":"0s"`,
		"idleTimeout":     `"idleTimeout":"1s","maxLifetime":"0s","resolveInterval":"0s"`,
		"resolveInterval": `"idleTimeout":"0s","maxLifetime":"0s","resolveInterval":"1s"`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := harness.Start(t, harness.Options{})
				asked := 0
				r := resolverOf("a:1")
				r.ResolveNowCallback = countTo(&asked)
				cc := channelOf(t, s, r, harness.Policy(`{"size":2,`+quiet+`}`), grpc.WithIdleTimeout(0))
				cc.Connect()
				synctest.Wait()
				happened := func() int { synctest.Wait(); return s.Accepted() + asked }
				for range 3 {
					before := happened()
					time.Sleep(time.Hour)
					require.Equal(t, before, happened(), "all is off")
					r.UpdateState(withConfig(r, `{"size":2,`+active+`}`))
					time.Sleep(10 * time.Second)
					require.GreaterOrEqual(t, happened(), before+8, "each second")
					r.UpdateState(withConfig(r, `{"size":2,`+quiet+`}`))
					synctest.Wait()
				}
				require.Equal(t, 2, s.Open())
			})
		})
	}
}
