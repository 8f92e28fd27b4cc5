package balancer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// begin starts n RPCs that last until the test ends, and reports how each ended.
func (c client) begin(n int, opts ...grpc.CallOption) (ended func() []error) {
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan error, n)
	for range n {
		go func() {
			_, err := grpc_testing.NewTestServiceClient(c).EmptyCall(ctx, &grpc_testing.Empty{}, opts...)
			results <- err
		}()
	}
	c.t.Cleanup(cancel)
	synctest.Wait()
	return func() (errs []error) {
		for len(results) > 0 {
			errs = append(errs, <-results)
		}
		return errs
	}
}

// Guards: `c.load.SetLimit(n)` in observeLocked: the first connection would take all.
func TestALoadThatNeedsManyConnectionsAtOnceGetsThem(t *testing.T) {
	opts := harness.Options{Handle: forever, DialTime: 50 * time.Millisecond, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(50)}}
	story(t, `{"maxSize":16}`, opts, func(t *testing.T, c client) {
		time.Sleep(time.Second)
		begun := time.Now()
		c.begin(750)
		for sum(c.Calls()) < 750 {
			require.Less(t, time.Since(begun), 400*time.Millisecond)
			time.Sleep(time.Millisecond)
		}
		t.Log("all run after", time.Since(begun))
		time.Sleep(opts.DialTime) // fifteen carry them: the last one may still be on its way
		require.Equal(t, 16, c.Accepted())
	})
}

// Guards: `if e.streamLimit.allZero` in lifecycle.Endpoint.Sample.
func TestALimitOfNothingIsNoReasonToGrow(t *testing.T) {
	story(t, `{"minSize":1,"maxSize":4}`, harness.Options{}, func(t *testing.T, c client) {
		c.Allow(t, 1, 0)
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		ended := c.begin(200)
		time.Sleep(time.Minute)
		require.Empty(t, ended(), "they wait")
		require.Equal(t, 1, c.Accepted())
		c.Allow(t, 1, 1000)
		synctest.Wait()
		require.Len(t, ended(), 200)
	})
}

// Guards: `c.limit = max(c.limit, f.Limit)` in lifecycle.Endpoint.Observe, and
// `room+1 >= demand` in canGrow: RPCs would be held, and no connection would come.
func TestALimitThatIsLoweredIsFollowedButNoReasonToGrow(t *testing.T) {
	story(t, `{"minSize":1,"maxSize":4}`, harness.Options{Handle: lasting(100 * time.Millisecond)}, func(t *testing.T, c client) {
		c.Allow(t, 1, 1000)
		stop := c.load(50)
		time.Sleep(time.Second)
		require.Equal(t, 1, c.Accepted())
		time.Sleep(time.Millisecond)
		c.Allow(t, 1, 5)
		time.Sleep(10 * time.Second)
		done, failed, slowest := stop()
		require.Empty(t, failed)
		require.Equal(t, 1, c.Accepted())
		t.Logf("%d RPCs, the slowest %v", done, slowest)
		require.InDelta(t, 500+50+10*50+50, done, 20, "from then on as many as five streams can carry")
	})
}

func TestALimitThatIsRaisedIsFollowed(t *testing.T) {
	story(t, `{"size":1}`, harness.Options{Handle: forever}, func(t *testing.T, c client) {
		c.Allow(t, 1, 5)
		time.Sleep(10 * time.Millisecond)
		c.begin(20)
		require.Equal(t, 5, sum(c.Calls()))
		for _, limit := range []uint32{6, 12, 20} {
			c.Allow(t, 1, limit)
			time.Sleep(10 * time.Millisecond)
			require.EqualValues(t, limit, sum(c.Calls()))
		}
	})
}

// Guards: `c.changed()` in h2conn.Conn.observe: nothing else wakes the pool before the next
// sample.
func TestAConnectionThatIsFullNowIsLeftAlone(t *testing.T) {
	story(t, `{"size":2}`, harness.Options{Handle: forever}, func(t *testing.T, c client) {
		c.Allow(t, 1, 1)
		time.Sleep(10 * time.Millisecond)
		c.begin(20)
		require.Equal(t, 20, sum(c.Calls()), "none waits")
		require.LessOrEqual(t, c.Calls()[1], 1)
	})
}

// Guards: `room+1 >= demand` in lifecycle.Endpoint.canGrow: RPCs would be held for a connection
// that is not called for, and not counted.
func TestALimitThatIsLoweredHoldsNoRPCForAConnection(t *testing.T) {
	story(t, `{"minSize":1,"maxSize":4,"maxPending":2}`, harness.Options{Handle: forever}, func(t *testing.T, c client) {
		c.Allow(t, 1, 100)
		synctest.Wait()
		c.Allow(t, 1, 5)
		time.Sleep(10 * time.Millisecond)
		ended := c.begin(10)
		require.Equal(t, 5, sum(c.Calls()))
		require.Len(t, ended(), 3, "refused")
	})
}

// Guards: `min(found.limit, NoLimit)` in h2conn.Conn.observe.
func TestTheLargestLimitIsNone(t *testing.T) {
	story(t, `{"minSize":1,"maxSize":4,"targetStreams":2147483647}`, harness.Options{Handle: forever}, func(t *testing.T, c client) {
		for _, limit := range []uint32{1<<31 - 1, 1<<32 - 1} {
			c.Allow(t, 1, limit)
			time.Sleep(10 * time.Millisecond)
			c.begin(100)
		}
		require.Equal(t, 200, sum(c.Calls()))
		require.Equal(t, 1, c.Accepted())
	})
}

// Guards: `c.facts.HealthStream` in lifecycle's connection.usable: the health checking holds
// one of two streams.
func TestHealthCheckingTakesAPlace(t *testing.T) {
	opts := harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}}
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, opts)
		cc := s.NewClient(t, `{"healthCheckConfig":{"serviceName":""},"loadBalancingConfig":[{"subpool":{"minSize":1,"maxSize":8}}]}`)
		c := client{t, cc, s}
		c.Connect()
		synctest.Wait()
		c.begin(6)
		time.Sleep(time.Second)
		require.Equal(t, 6, sum(c.Calls()), "handlers that run")
		require.Equal(t, 8, c.Accepted(), "⌈1.25 × 6 ÷ 1⌉")
		for conn, n := range c.Calls() {
			require.Equal(t, 1, n, "connection %d", conn)
		}
	})
}

// Guards: `p.queued() >= p.MaxQueued` in picker.pool.queue. They fail at once, wait-for-ready
// or not.
func TestAsManyAsMaxPendingWait(t *testing.T) {
	opts := harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}}
	for _, wait := range []bool{false, true} {
		story(t, `{"size":2,"maxPending":3}`, opts, func(t *testing.T, c client) {
			c.begin(4)
			require.Equal(t, 4, sum(c.Calls()))
			ended := c.begin(10, grpc.WaitForReady(wait))
			errs := ended()
			require.Len(t, errs, 7)
			for _, err := range errs {
				require.Equal(t, codes.ResourceExhausted, status.Code(err))
				require.ErrorContains(t, err, "subpool: maxPending: 3, as many RPCs wait already for a stream, and every connection is full")
			}
		})
	}
}

// Guards: `next.maxQueued = p.cfg.MaxPending` in publishLocked, and
// `p.published == next` in publishLocked.
func TestMaxPendingChangesInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}})
		r := resolverOf("a:1")
		c := client{t, channelOf(t, s, r, harness.Policy(`{"size":1}`)), s}
		c.Connect()
		synctest.Wait()
		ended := c.begin(10)
		require.Empty(t, ended())
		for _, step := range []struct {
			settings string
			refused  int
		}{{`{"size":1,"maxPending":0}`, 5}, {`{"size":1,"maxPending":10}`, 3}, {`{"size":1}`, 0}} {
			r.UpdateState(withConfig(r, step.settings))
			synctest.Wait()
			require.Len(t, c.begin(5)(), step.refused, step.settings)
		}
	})
}

// Guards: picker.pool.reserve and picker.pool.queue: the spread over connections that are full.
func TestEightConnectionsCarryEightTimesAsMuch(t *testing.T) {
	opts := harness.Options{Handle: lasting(100 * time.Millisecond), Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(20)}}
	carried := func(settings string, callers int) (done int) {
		story(t, settings, opts, func(t *testing.T, c client) {
			stop := c.load(callers)
			time.Sleep(20 * time.Second)
			n, failed, _ := stop()
			require.Empty(t, failed)
			done = n
		})
		return done
	}
	one, eight := carried(`{"size":1}`, 50), carried(`{"size":8}`, 400)
	t.Logf("one carries %d, eight carry %d: %.1f %% of 8 times", one, eight, 100*float64(eight)/float64(8*one))
	require.GreaterOrEqual(t, float64(eight), 0.97*8*float64(one))
}

// Guards: the loop over p.Draining in picker.pool.queued: the setting is for all RPCs of the
// channel.
func TestWhatWaitsWhereItDrainsIsPendingToo(t *testing.T) {
	opts := harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}}
	story(t, `{"size":1,"maxPending":3,"maxLifetime":"10s","lifetimeJitter":0}`, opts, func(t *testing.T, c client) {
		require.Empty(t, c.begin(5)())
		time.Sleep(11 * time.Second)
		require.Equal(t, 2, c.Accepted())
		require.Len(t, c.begin(5)(), 3, "two run on the new connection")
		require.Equal(t, 4, sum(c.Calls()))
	})
}

// Guards: `l.limit.Load() == 0` in load.Load.Blocked: they would wait where no stream is allowed.
func TestRPCsQueueWhereTheyWillBeServed(t *testing.T) {
	opts := harness.Options{Handle: lasting(100 * time.Millisecond), Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(20)}}
	story(t, `{"size":2}`, opts, func(t *testing.T, c client) {
		c.Allow(t, 1, 0)
		time.Sleep(10 * time.Millisecond)
		stop := c.load(30)
		time.Sleep(30 * time.Second)
		_, failed, _ := stop()
		require.Empty(t, failed)
	})
}

// Guards: `room+1 >= demand` in lifecycle.Endpoint.canGrow.
func TestNoRPCIsHeldForAConnectionWhereTheServerAllowsNoStream(t *testing.T) {
	opts := harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(1)}}
	story(t, `{"minSize":1,"maxSize":4,"maxPending":0,"maxLifetime":"0s"}`, opts, func(t *testing.T, c client) {
		time.Sleep(10 * time.Minute) // until the start is forgotten
		c.Allow(t, c.Accepted(), 0)
		time.Sleep(10 * time.Millisecond)
		require.Len(t, c.begin(3)(), 3)
	})
}

func TestRPCsThatAreHeldLaterCallForConnectionsToo(t *testing.T) {
	opts := harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}}
	story(t, `{"minSize":1,"maxSize":64}`, opts, func(t *testing.T, c client) {
		c.Break(harness.Hang)
		c.begin(3)
		for range 3 {
			time.Sleep(time.Second)
			before := c.Dials()
			c.begin(8)
			time.Sleep(100 * time.Millisecond)
			require.GreaterOrEqual(t, c.Dials()-before, 4, "for eight RPCs more")
		}
	})
}

// Guards: `context.AfterFunc` in load.Waiters.begin. RPCs that gave up would count for as long as a
// dial hangs.
func TestHeldRPCsThatGaveUpCallForNoConnection(t *testing.T) {
	opts := harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}}
	story(t, `{"minSize":1,"maxSize":64}`, opts, func(t *testing.T, c client) {
		c.Break(harness.Hang)
		c.begin(2)
		for range 150 {
			_ = c.within(100 * time.Millisecond)
		}
		c.Break(harness.None)
		time.Sleep(30 * time.Second)
		t.Log(c.Accepted(), "connections for three RPCs")
		require.LessOrEqual(t, c.Accepted(), 4)
	})
}
