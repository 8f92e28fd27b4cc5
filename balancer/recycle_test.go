package balancer_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// Guards: `e.Recycle()` for each endpoint in Recycle, and `s.recycle` in lifecycle.Endpoint.due.
func TestRecycleReplacesEveryConnectionAndFailsNoRPC(t *testing.T) {
	opts := harness.Options{Handle: taking(5 * time.Millisecond), DialTime: 100 * time.Millisecond}
	story(t, `{"size":6}`, opts, func(t *testing.T, c client) {
		time.Sleep(time.Second)
		stop := c.load(24)
		time.Sleep(time.Second)
		pool(t).Recycle()
		synctest.Wait()
		require.Equal(t, 6, c.Open(), "the successor connects first")
		for range 10 {
			time.Sleep(100 * time.Millisecond)
			require.LessOrEqual(t, c.Open(), 6+2, "size + budget, and one that drains")
		}
		time.Sleep(time.Second)
		_, failed, slowest := stop()
		require.Empty(t, failed)
		require.Less(t, slowest, 20*time.Millisecond)
		require.Equal(t, 12, c.Accepted())
		require.Equal(t, 6, c.Open())
		p := shown(t)
		require.EqualValues(t, 6, p.Totals.Retired["recycle"])
		for _, s := range p.Endpoints[0].Subchannels {
			require.Equal(t, "recycle", s.Replaces)
		}
	})
}

func TestARecycleThatCannotConnectCostsNothing(t *testing.T) {
	story(t, `{"size":3}`, harness.Options{}, func(t *testing.T, c client) {
		c.Break(harness.Refuse)
		pool(t).Recycle()
		for range 60 {
			time.Sleep(time.Second)
			require.NoError(t, c.call())
		}
		require.Equal(t, 3, c.Open())
		c.Break(harness.None)
		time.Sleep(5 * time.Minute)
		require.EqualValues(t, 3, shown(t).Totals.Retired["recycle"])
	})
}
