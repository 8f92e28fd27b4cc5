package incidents

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/harness"
)

var tenStreams = harness.Options{Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(10)}}

func streamLimit(*testing.T) incident {
	return incident{
		name: "stream limit at maxSize", settings: `{"size":2}`, server: tenStreams,
		happens: func(c client) {
			c.open(26) // an even number: which of two equal connections takes an odd one is chance
			c.wait(2 * time.Second)
			require.Equal(c, codes.DeadlineExceeded, status.Code(c.call(time.Second)))
			require.Equal(c, 6, c.shown().Queued)
			require.Equal(c, 2, c.endpoint().Missing)
			require.Equal(c, "demand calls for 4 subchannels, maxSize is 2: 26 in flight, limit 10 (server:443)", c.decided("capped"))
		},
	}
}

// No RPC waits: they share what one connection carries.
func growthEnds(*testing.T) incident {
	return incident{
		name: "growth at its end", settings: `{"maxSize":2,"targetStreams":10}`,
		happens: func(c client) {
			c.open(50)
			c.wait(30 * time.Second) // nothing waits, so the demand is sampled at its leisure
			require.NoError(c, c.call(time.Second))
			require.Zero(c, c.shown().Queued)
			require.Equal(c, -1, c.endpoint().Limit)
			require.Equal(c, 5, c.endpoint().Missing)
			require.Contains(c, c.decided("capped"), " in flight, targetStreams 10 (server:443)")
		},
	}
}

// Twice as many streams come as there are places, and so each time another connection is to
// be dialled first.
func heldForADial(*testing.T) incident {
	server := tenStreams
	server.DialTime = 900 * time.Millisecond
	return incident{
		name: "held for a dial", settings: `{"maxSize":4}`, server: server,
		happens: func(c client) {
			for range 2 {
				c.wait(time.Minute)
				c.open(10)
				require.Equal(c, codes.DeadlineExceeded, status.Code(c.call(500*time.Millisecond)))
				c.open(1)
				require.Positive(c, c.shown().Held)
				c.look()
			}
		},
	}
}

func refused(*testing.T) incident {
	return incident{
		name: "maxPending", settings: `{"size":1,"maxPending":2}`, server: tenStreams,
		happens: func(c client) {
			c.open(12)
			require.Equal(c, codes.ResourceExhausted, status.Code(c.call(time.Second)))
			require.Equal(c, int64(1), c.shown().Totals.Refused)
		},
	}
}

func bars(*testing.T) incident {
	return incident{
		name: "the server bars", settings: `{"size":2,"name":"orders"}`,
		happens: func(c client) {
			c.Limit(0)
			c.wait(2 * time.Second)
			require.Equal(c, codes.DeadlineExceeded, status.Code(c.call(time.Second)))
			c.open(4)
			require.Equal(c, 4, c.shown().Queued)
			require.Zero(c, c.endpoint().Limit)
			require.Zero(c, c.endpoint().Missing, "no size would help")
			require.Equal(c, "MAX_CONCURRENT_STREAMS: unlimited→0 (server:443)", c.decided("limit"))
		},
	}
}

// Nobody reads the streams that were opened, and their connections are due.
func leaks(*testing.T) incident {
	return incident{
		name: "leaked streams", settings: `{"size":2,"maxLifetime":"1m","lifetimeJitter":0}`,
		happens: func(c client) {
			for range 5 {
				c.open(4)
				c.wait(time.Minute)
			}
			e := c.endpoint()
			require.Equal(c, e.MaxSize, e.Budget.Draining)
			require.Equal(c, int64(2), c.shown().Totals.Retired["max_lifetime"], "no more than once each")
			for _, s := range e.Subchannels {
				if s.State == "ready" {
					require.True(c, s.EndOfLife.Before(time.Now()))
				}
			}
		},
	}
}

func drainTimeoutCuts(*testing.T) incident {
	return incident{
		name: "drainTimeout", settings: `{"size":2,"maxLifetime":"1m","lifetimeJitter":0,"drainTimeout":"5s"}`,
		happens: func(c client) {
			c.open(4)
			c.wait(2 * time.Minute)
			require.Equal(c, int64(4), c.shown().Totals.ForceClosed)
			require.Equal(c, "a connection is closed with 2 RPCs in flight, for it did not drain in 5s", c.decided("force_closed"))
		},
	}
}
