package metrics

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/internal/harness"
)

func TestRPCsInFlightAndWaitingAreReadWhenMetricsAreCollected(t *testing.T) {
	opts := harness.Options{Handle: forever, Server: twoStreams}
	scenario(t, `{"size":2}`, opts, func(t *testing.T, c client) {
		require.Empty(t, c.points("subpool.calls.in_flight"))
		end := c.begin(7)
		require.Equal(t, points{"": 7}, c.points("subpool.calls.in_flight"))
		require.Equal(t, points{"": 3}, c.points("subpool.calls.waiting"))
		end()
		require.Empty(t, c.points("subpool.calls.waiting"))
		require.Equal(t, points{"": 3}, c.points("subpool.calls.wait_duration"))
		require.NoError(t, c.Close())
		require.Empty(t, c.points("subpool.calls.in_flight"))
	})
}

// Guards: the loop over registry.OfTarget(p.target) in pool.report: of two values for the same labels one is lost.
func TestPoolsOfOneTargetAreAddedUp(t *testing.T) {
	opts := harness.Options{Handle: forever, Server: twoStreams}
	scenario(t, `{"size":1}`, opts, func(t *testing.T, c client) {
		other := c.another(t, `{"size":1}`)
		other.begin(1)
		c.begin(2)
		c.wait(time.Second)
		require.Equal(t, points{"": 3}, c.points("subpool.calls.in_flight"))
		require.NoError(t, other.Close())
		require.Equal(t, points{"": 2}, c.points("subpool.calls.in_flight"))
	})
}
