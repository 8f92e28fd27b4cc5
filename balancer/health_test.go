package balancer_test

import (
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

const healthChecked = `{"healthCheckConfig":{"serviceName":""},"loadBalancingConfig":[{"subpool":{"size":3}}]}`

// Guards: `watchHealth(sub.sc, …)` in connectedLocked, and `e.observeHealth(s, f.Health)` in
// lifecycle.Endpoint.Observe.
func TestADuplicateThatDoesNotServeGetsNoRPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		c := client{t, s.NewClient(t, healthChecked), s}
		c.Connect()
		synctest.Wait()
		s.SetHealth(2, false)
		synctest.Wait()
		for range 300 {
			require.NoError(t, c.call())
		}
		require.Zero(t, s.Calls()[2])
		require.Equal(t, 3, s.Accepted(), "it is not replaced: the server said what it is")

		s.SetHealth(2, true)
		synctest.Wait()
		for range 300 {
			require.NoError(t, c.call())
		}
		require.NotZero(t, s.Calls()[2])
	})
}

// Guards: `e.has(NotServing)` in lifecycle.Endpoint.roundFailed; RPCs would hang.
func TestWhenNoDuplicateServesRPCsFailWithTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		c := client{t, s.NewClient(t, healthChecked), s}
		c.Connect()
		synctest.Wait()
		for conn := 1; conn <= 3; conn++ {
			s.SetHealth(conn, false)
		}
		synctest.Wait()
		require.Equal(t, connectivity.TransientFailure, c.GetState())
		err := c.call()
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.ErrorContains(t, err, "NOT_SERVING")

		c.Cut(1) // the new connection serves; that one was young, so it takes a backoff
		time.Sleep(2 * time.Second)
		require.NoError(t, c.call())
	})
}

// Guards: the last loop of lifecycle.Endpoint.retireSurplus: the connection that does not
// serve would wait for a successor that does, and hold the whole budget meanwhile.
func TestADuplicateThatDoesNotServeStopsNoRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		config := `{"healthCheckConfig":{"serviceName":""},"loadBalancingConfig":[{"subpool":{"size":3,"maxLifetime":"1m","idleTimeout":"0s"}}]}`
		c := client{t, s.NewClient(t, config, grpc.WithIdleTimeout(0)), s}
		c.Connect()
		synctest.Wait()
		s.SetHealth(2, false)
		time.Sleep(time.Hour)
		require.Equal(t, 3, s.Open())
		require.Greater(t, s.Accepted(), 3*60, "every connection, at least each minute")
	})
}

// Guards: `if e.Size() == 0` in lifecycle.Endpoint.renewals.
func TestADuplicateThatDoesNotServeGoesWithItsEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		r := resolverOf("a:1")
		config := `{"healthCheckConfig":{"serviceName":""},"loadBalancingConfig":[{"subpool":{"size":1,"maxLifetime":"1m"}}]}`
		cc := channelOf(t, s, r, config, grpc.WithIdleTimeout(0))
		cc.Connect()
		synctest.Wait()
		s.SetHealth(1, false)
		time.Sleep(59 * time.Second)
		r.UpdateState(addresses("b:1"))
		time.Sleep(time.Minute)
		require.Equal(t, 1, s.Open())
	})
}
