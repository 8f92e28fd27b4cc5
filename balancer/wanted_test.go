package balancer_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// dialsThatHang hang for good, those that begin while away is set.
func dialsThatHang(s *harness.Server) (away *atomic.Bool, dial grpc.DialOption) {
	away = new(atomic.Bool)
	return away, grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		if away.Load() {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return s.Dial(ctx, addr)
	})
}

// It is dialled at once, and refused or not answered; a plain channel dials for the next RPC, and finds the
// server back.
//
// Guards: lifecycle.Endpoint.retryForRPCs, and `Alone` in lostLocked.
func TestAServerThatIsAwayWhileNoRPCComesFailsNone(t *testing.T) {
	for _, settings := range []string{`{"size":1}`, `{"size":4}`, `{}`} {
		for _, fault := range []harness.Fault{harness.Refuse, harness.Hang} {
			story(t, settings, harness.Options{}, func(t *testing.T, c client) {
				time.Sleep(time.Minute)
				c.Break(fault)
				c.Cut()
				for range 3 { // the backoff grows
					time.Sleep(10 * time.Second)
					require.NotEqual(t, connectivity.TransientFailure, c.GetState())
				}
				c.Break(harness.None)
				begin := time.Now()
				require.NoError(t, c.call())
				require.Zero(t, time.Since(begin))
			})
		}
	}
}

// The first attempt hangs still, so there is no outage yet.
//
// Guards: `!e.has(Ready)` in lifecycle.Endpoint.Wake.
func TestNoRPCWaitsForAFirstAttemptThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		away, dial := dialsThatHang(s)
		c := client{t, channelOf(t, s, resolverOf("a:1"), harness.Policy(`{"size":1}`), dial), s}
		require.NoError(t, c.call())
		time.Sleep(time.Minute) // the use is sampled
		away.Store(true)
		c.Cut()
		time.Sleep(4 * time.Second)
		away.Store(false)
		begin := time.Now()
		require.NoError(t, c.call())
		require.Zero(t, time.Since(begin))
	})
}

// A program that waits for READY or TRANSIENT_FAILURE, and connects where it finds IDLE.
//
// Guards: `!e.wanted` in lifecycle.Endpoint.State.
func TestAProgramThatConnectsWhereItFindsIDLESeesAnOutage(t *testing.T) {
	story(t, `{"size":2}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		c.Break(harness.Refuse)
		c.Cut()
		for range 10 {
			time.Sleep(100 * time.Millisecond)
			if c.GetState() == connectivity.Idle {
				c.Connect()
			}
		}
		require.Equal(t, connectivity.TransientFailure, c.GetState())
	})
}

// round_robin would have been in TRANSIENT_FAILURE.
//
// Guards: `Alone` in lostLocked.
func TestNoRPCWaitsForAnEndpointThatFailedWhileAnotherServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		away, dial := dialsThatHang(s)
		c := client{t, channelOf(t, s, resolverOf("a:1", "b:1"), harness.Policy(`{"size":1}`), dial, grpc.WithIdleTimeout(0)), s}
		require.NoError(t, c.call())
		time.Sleep(time.Minute)
		away.Store(true)
		c.Cut(1)
		time.Sleep(time.Hour)
		c.Cut()
		time.Sleep(time.Minute)
		begin := time.Now()
		require.Equal(t, codes.Unavailable, status.Code(c.call()))
		require.Zero(t, time.Since(begin))
	})
}

// The attempt began a moment before the RPC, so that it waits; then another one is made beside it.
//
// Guards: `hangsAfter` in lifecycle.Endpoint.outdated.
func TestAnRPCJustAfterAnAttemptThatHangsIsAnsweredSoon(t *testing.T) {
	for _, settings := range []string{`{"size":1}`, `{"size":4}`} {
		synctest.Test(t, func(t *testing.T) {
			s := harness.Start(t, harness.Options{})
			away, dial := dialsThatHang(s)
			c := client{t, channelOf(t, s, resolverOf("a:1"), harness.Policy(settings), dial), s}
			require.NoError(t, c.call())
			time.Sleep(time.Minute)
			away.Store(true)
			c.Cut()
			time.Sleep(100 * time.Millisecond)
			away.Store(false)
			begin := time.Now()
			require.NoError(t, c.call())
			require.LessOrEqual(t, time.Since(begin), 3*time.Second)
		})
	}
}

// pick_first, which is IDLE, stays so.
//
// Guards: `only.Unwanted()` in shareWant.
func TestAnAddressInTheOthersPlaceFailsNoRPCThatComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		r := resolverOf("a:1")
		c := client{t, channelOf(t, s, r, harness.Policy(`{"size":2}`)), s}
		require.NoError(t, c.call())
		time.Sleep(time.Minute)
		c.Break(harness.Refuse)
		c.Cut()
		time.Sleep(time.Second)
		r.UpdateState(addresses("b:1"))
		time.Sleep(time.Second)
		require.Equal(t, connectivity.Idle, c.GetState())
		c.Break(harness.None)
		require.NoError(t, c.call())
	})
}

// round_robin dials both, and a plain channel dials where it had none.
//
// Guards: `e.SetWanted()` in shareWant.
func TestAnAddressBesideAnotherOrAfterNoneIsDialledAndFails(t *testing.T) {
	for name, then := range map[string][][]string{
		"beside it": {{"a:1", "b:1"}}, "in the place of none": {{}, {"a:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := harness.Start(t, harness.Options{})
				r := resolverOf("a:1")
				c := client{t, channelOf(t, s, r, harness.Policy(`{"size":2}`)), s}
				require.NoError(t, c.call())
				time.Sleep(time.Minute)
				c.Break(harness.Refuse)
				c.Cut()
				time.Sleep(time.Second)
				for _, addrs := range then {
					r.UpdateState(addresses(addrs...))
					time.Sleep(time.Second)
				}
				require.Equal(t, connectivity.TransientFailure, c.GetState())
				begin := time.Now()
				require.Equal(t, codes.Unavailable, status.Code(c.call()))
				require.Zero(t, time.Since(begin))
			})
		})
	}
}
