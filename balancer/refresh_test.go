package balancer_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// Guards: `idle.Before(at)` in lifecycle's connection.expiry.
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

// The connections that the last idleTimeout called for stay for a while, but those that are
// to stay for good are never silent for idleTimeout.
//
// Guards: `s.conn.refreshIdle = true` in lifecycle.Endpoint.markRefreshIdle, and `false`: a connection that
// will be closed is not replaced before.
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
			p, used := shown(t), 0
			for _, s := range p.Endpoints[0].Subchannels {
				if s.State == "ready" && p.At.Sub(*s.LastUse) < 240*time.Second {
					used++
				}
			}
			require.GreaterOrEqual(t, used, 2)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 2, c.Open())
		retired := shown(t).Totals.Retired
		require.Equal(t, []int64{2, 6}, []int64{retired["idle"], retired["shrink"]})
		require.Equal(t, 8+2, c.Accepted())
	})
}

// Guards: `c.lastUse = now` in lifecycle.Endpoint.Observe.
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

// Guards: `if ready > size` in lifecycle.Endpoint.retireSurplus: a connection that is due is
// not retired while its successor is missing.
func TestUnusedConnectionsAreKeptWhenNoOtherCanBeMade(t *testing.T) {
	story(t, `{"size":2,"idleTimeout":"1s"}`, harness.Options{}, func(t *testing.T, c client) {
		c.Break(harness.Refuse)
		time.Sleep(time.Minute)
		require.Equal(t, 2, c.Open())
		require.Equal(t, 2, c.Accepted())
		require.NoError(t, c.call())
	}, grpc.WithIdleTimeout(0))
}
