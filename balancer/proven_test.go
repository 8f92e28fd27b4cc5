package balancer_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/connectivity"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// nginx ends a connection after keepalive_requests, which takes no second under load.
//
// Guards: `if c.facts.Answered` in lifecycle's connection.provenAt.
func TestAConnectionThatServedIsNoFlapHoweverShortItLived(t *testing.T) {
	for _, settings := range []string{`{"size":1}`, `{"size":4}`} {
		story(t, settings, harness.Options{Handle: taking(time.Millisecond)}, func(t *testing.T, c client) {
			for range 20 {
				for range 50 {
					require.NoError(t, c.call())
				}
				c.GoAway(t, c.Accepted())
				synctest.Wait()
				require.NotEqual(t, connectivity.TransientFailure, c.GetState())
			}
		})
	}
}

// Guards: `s.conn.facts.Answered = end.Answered` in lifecycle.Endpoint.Lost: what an earlier
// connection served counts for that one only. wakingPicker in pickerLocked, and
// `e.outdate()` in reachable: in TRANSIENT_FAILURE the RPC would fail.
func TestAConnectionThatServedNothingAndLivedShortIsAFlap(t *testing.T) {
	story(t, `{"size":1}`, harness.Options{}, func(t *testing.T, c client) {
		require.NoError(t, c.call())
		c.Cut()
		synctest.Wait()
		require.Equal(t, 2, c.Dials(), "at once")
		c.Cut()
		synctest.Wait()
		require.Equal(t, 3, c.Dials(), "at once, for it is the first")
		c.Cut()
		time.Sleep(time.Second)
		require.Equal(t, 3, c.Dials(), "after a backoff")
		time.Sleep(2 * time.Second)
		require.Equal(t, 4, c.Dials())
		c.Cut()
		synctest.Wait()
		require.NoError(t, c.call(), "an RPC does not wait for it")
		require.Equal(t, 5, c.Dials())
	})
}

// Servers end what carries nothing by a GOAWAY, some of them soon.
//
// Guards: `end.NoError = g.Code == 0` in lostLocked.
func TestAnUnusedConnectionThatAGoAwayEndsIsNoFlap(t *testing.T) {
	story(t, `{"size":1}`, harness.Options{}, func(t *testing.T, c client) {
		c.Connect()
		for i := range 20 {
			time.Sleep(200 * time.Millisecond)
			require.Equal(t, i+1, c.Accepted())
			c.GoAway(t, c.Accepted())
			synctest.Wait()
			require.Equal(t, i+2, c.Accepted(), "at once")
		}
	})
}

// A server of gRPC that ends connections by age does so by a graceful GOAWAY while RPCs run,
// and lets them end. That is no flap, however young the connection and long the RPC.
//
// Guards: `w>>32 > 0` in load.Load.GoAway.
func TestAConnectionThatAGoAwayEndsWithRPCsIsNoFlap(t *testing.T) {
	story(t, `{"size":1}`, harness.Options{Handle: forever}, func(t *testing.T, c client) {
		for i := range 20 {
			require.Empty(t, c.begin(4)())
			require.Equal(t, 4*(i+1), sum(c.Calls()), "all run")
			c.GoAway(t, c.Accepted())
			synctest.Wait()
			require.Equal(t, i+2, c.Accepted(), "at once")
		}
	})
}

// Guards: `call(l.onAnswered)` in load.New, and `c.load.OnAnswered(changed)` in connectedLocked: the
// outage would last until the connection is a second old.
func TestAnOutageEndsWithTheFirstAnswer(t *testing.T) {
	story(t, `{"size":4}`, harness.Options{}, func(t *testing.T, c client) {
		c.Connect()
		synctest.Wait()
		c.Cut()
		synctest.Wait()
		c.Cut()
		synctest.Wait()
		require.Zero(t, c.Open(), "what was made at once is lost as well: an outage")
		require.NoError(t, c.call())
		synctest.Wait()
		require.Equal(t, 4, c.Open(), "at once")
	})
}
