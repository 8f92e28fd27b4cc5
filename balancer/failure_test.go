package balancer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// Guards: `a.phase == Connecting` in lifecycle.Endpoint.startAttempts, and the probe in
// nextAttempt; each of the 16 would follow a backoff of its own, with 64 dials.
func TestADeadServerIsDialledLikeByOneChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		s.Break(harness.Refuse)
		c := client{t, s.NewClient(t, harness.Policy(`{"size":16}`)), s}
		c.Connect()
		time.Sleep(8 * time.Second)
		t.Logf("%d dials", c.Dials())
		require.LessOrEqual(t, c.Dials(), 26)
		require.Equal(t, connectivity.TransientFailure, c.GetState())

		begin := time.Now()
		err := c.call()
		require.Zero(t, time.Since(begin), "at once")
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.ErrorContains(t, err, "subpool: passthrough:///server:443: last connection error: ")
		require.ErrorContains(t, err, "harness: connection refused")

		s.Break(harness.None)
		time.Sleep(8 * time.Second)
		require.Equal(t, 16, c.Open())
		require.NoError(t, c.call())
	})
}

// Guards: `e.countFlap(s, now)` in lifecycle.Endpoint.Lost, for the server that sends its
// SETTINGS first; gRPC itself backs off for one that does not.
func TestAServerThatAcceptsAndClosesIsNotDialledInAHotLoop(t *testing.T) {
	for _, fault := range []harness.Fault{harness.Slam, harness.Flap} {
		synctest.Test(t, func(t *testing.T) {
			s := harness.Start(t, harness.Options{DialTime: 10 * time.Millisecond})
			s.Break(fault)
			c := client{t, s.NewClient(t, harness.Policy(`{"size":16}`)), s}
			c.Connect()
			time.Sleep(8 * time.Second)
			t.Logf("%v: %d dials", fault, c.Dials())
			require.LessOrEqual(t, c.Dials(), 26)
			if fault == harness.Slam {
				require.Equal(t, connectivity.TransientFailure, c.GetState())
				require.Equal(t, codes.Unavailable, status.Code(c.call()))
			} else { // it is chance whether gRPC calls the last one READY, and so how the RPC fails
				require.NotEqual(t, connectivity.Ready, c.GetState())
				require.Error(t, c.call())
			}

			s.Break(harness.None)
			time.Sleep(20 * time.Second) // a backoff, and a second to prove itself
			require.Equal(t, 16, c.Open())
			require.NoError(t, c.call())
		})
	}
}

// Guards: `size+renewals` in lifecycle.Endpoint.Plan; if connections were dropped for
// successors that do not come, the pool would shrink.
func TestTheOldConnectionsServeOnWhileNewOnesAreRefused(t *testing.T) {
	opts := harness.Options{Handle: taking(10 * time.Millisecond)}
	story(t, `{"size":4,"maxLifetime":"1s","idleTimeout":"0s"}`, opts, func(t *testing.T, c client) {
		stop := c.load(8)
		time.Sleep(100 * time.Millisecond)
		c.Break(harness.Refuse)
		time.Sleep(10 * time.Second)
		t.Logf("%d dials in 10 lives", c.Dials()-4)
		require.Equal(t, 4, c.Open())
		require.Equal(t, 4, c.Accepted())
		// At 0, 1, 2.6, 5.2 and 9.3 s, each wait ± 20 %, after the first loss.
		require.InDelta(t, 5, c.Dials()-4, 1)

		c.Break(harness.None)
		time.Sleep(20 * time.Second)
		_, failed, _ := stop()
		require.Empty(t, failed)
		require.Greater(t, c.Accepted(), 8, "renewal goes on")
	})
}

// Guards: `case e.roundFailed()` in lifecycle.Endpoint.Plan.
func TestRPCsDoNotHangWhenTheLastConnectionGoesDuringABackoff(t *testing.T) {
	story(t, `{"size":2}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		c.Break(harness.Refuse)
		c.Cut(1)
		synctest.Wait()
		require.Equal(t, connectivity.Ready, c.GetState())
		c.Cut(2)
		synctest.Wait()
		begin := time.Now()
		require.Equal(t, codes.Unavailable, status.Code(c.call()))
		require.Zero(t, time.Since(begin))
	})
}

// Guards: `s.mayRedial = !flapped` in lifecycle.Endpoint.Lost. Attempts to make the first
// connection again let the backoff grow, to two minutes.
func TestAnOutageAfterALongBackoffIsAsShortAsThatOfAPlainChannel(t *testing.T) {
	story(t, `{"size":2}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		c.Break(harness.Refuse)
		c.Cut(1)
		time.Sleep(10 * time.Minute)
		c.Break(harness.None)
		c.Cut(2)
		synctest.Wait()
		require.NoError(t, c.call())
	})
}

// Guards: that what errorLocked returns is no status error, with which
// `base.NewErrPicker(err)` in pickerLocked would end such RPCs, too.
func TestWaitForReadySurvivesAnOutage(t *testing.T) {
	story(t, `{"size":3}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		c.Break(harness.Refuse)
		c.Cut()
		synctest.Wait() // an RPC that is sent on a connection that just ends is another matter
		time.AfterFunc(3*time.Second, func() { c.Break(harness.None) })
		require.NoError(t, c.call(grpc.WaitForReady(true)))
	})
}

// Guards: `e.NotDialled(d.Subchannel, d.Address, …)` in dialLocked: a subchannel without SubConn
// is a failed attempt, not a reason to try again at once.
func TestAChannelThatMakesNoSubConnsIsNotAskedInAHotLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		parent := harness.Parent(t.Name())
		cc := s.NewClient(t, parent.Policy(`{"subpool":{"size":4}}`))
		parent.RefuseSubConns(true)
		c := client{t, cc, s}
		c.Connect()
		time.Sleep(8 * time.Second)
		require.ErrorContains(t, c.call(), "harness: no SubConn")
		require.LessOrEqual(t, parent.SubConns(), 4+4)
		parent.RefuseSubConns(false)
		time.Sleep(20 * time.Second) // the longest backoff by now, and a second of proof
		require.NoError(t, c.call())
		require.Equal(t, 4, c.Open())
	})
}

// Guards: `p.closed = true` and `p.schedule.timer.Stop()` in Close: the pool would go on
// renewing what is no more. Goroutines that still run at its end fail the bubble.
func TestCloseLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{Handle: taking(time.Second)})
		parent := harness.Parent(t.Name())
		c := client{t, s.NewClient(t, parent.Policy(`{"subpool":{"size":4,"maxLifetime":"10s","idleTimeout":"0s"}}`)), s}
		stop := c.load(4)
		time.Sleep(35 * time.Second)
		require.NoError(t, c.Close())
		_, _, _ = stop()
		require.Zero(t, c.Open())
		made := parent.SubConns()
		time.Sleep(time.Hour)
		require.Equal(t, made, parent.SubConns())
	})
}

// Guards: `if p.closed` in reconcileLocked: gRPC's idle mode closes the pool and later
// builds another.
func TestTheChannelsIdleModeClosesThePoolUntilTheNextRPC(t *testing.T) {
	story(t, `{"size":4}`, harness.Options{}, func(t *testing.T, c client) {
		require.NoError(t, c.call())
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		require.Equal(t, connectivity.Idle, c.GetState())
		require.Zero(t, c.Open())
		require.NoError(t, c.call())
		synctest.Wait()
		require.Equal(t, 4, c.Open())
	})
}

// Guards: `p.setEndpointsLocked` in UpdateClientConnState, and the identity of
// endpoints in sameEndpoint: order must not matter.
func TestEndpointsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		r := manual.NewBuilderWithScheme("test")
		state := func(addrs ...string) (st resolver.State) {
			for _, a := range addrs {
				st.Addresses = append(st.Addresses, resolver.Address{Addr: a})
			}
			return st
		}
		r.InitialState(state("a:1"))
		cc := channelOf(t, s, r, harness.Policy(`{"size":2}`))
		c := client{t, cc, s}
		require.NoError(t, c.call())
		for _, step := range []struct {
			state          resolver.State
			open, accepted int
		}{
			{state("a:1", "b:1", "c:1"), 6, 6},
			{state("c:1", "a:1", "b:1"), 6, 6},
			{state("b:1", "b:1"), 2, 6},
			{state("b:1", "a:1"), 4, 8},
			{resolver.State{Endpoints: []resolver.Endpoint{{}}}, 0, 8},
		} {
			r.UpdateState(step.state)
			synctest.Wait()
			require.Equal(t, step.open, s.Open(), "%v", step.state)
			require.Equal(t, step.accepted, s.Accepted(), "%v", step.state)
		}
		require.ErrorContains(t, c.call(), "produced zero addresses")
		r.UpdateState(state("a:1"))
		require.NoError(t, c.call())
	})
}

// Guards: `p.failure.resolver = err` in ResolverError.
func TestAResolverErrorIsWhyRPCsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		r := manual.NewBuilderWithScheme("test")
		r.InitialState(resolver.State{})
		cc := channelOf(t, s, r, harness.Policy(`{}`))
		cc.Connect()
		synctest.Wait()
		r.CC().ReportError(context.DeadlineExceeded)
		synctest.Wait()
		require.ErrorContains(t, client{t, cc, s}.call(), "context deadline exceeded")
	})
}
