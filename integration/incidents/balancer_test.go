package incidents

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// A vip is an L4 balancer: one address, and backends behind it, which it takes in turn.
type vip struct {
	second atomic.Pointer[harness.Server]
	dials  atomic.Int32
}

// throughVIP is a connection whose other end is the balancer's.
type throughVIP struct{ net.Conn }

func (throughVIP) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443}
}

func (v *vip) dial(ctx context.Context, first *harness.Server) (net.Conn, error) {
	backend := first
	if second := v.second.Load(); second != nil && v.dials.Add(1)%2 == 0 {
		backend = second
	}
	c, err := backend.Dial(ctx, "192.0.2.1:443")
	if err != nil {
		return nil, err
	}
	return throughVIP{c}, nil
}

// The second backend comes when all connections have been made.
func oneBackend(*testing.T) incident {
	v := new(vip)
	return incident{
		name: "one backend has all", settings: `{"size":4,"maxLifetime":"10m","lifetimeJitter":0,"idleTimeout":"0s"}`, dial: v.dial,
		happens: func(c client) {
			second := harness.Start(c, harness.Options{})
			v.second.Store(second)
			came := time.Now()
			c.calls(400)
			require.Empty(c, second.Calls())
			remote := make(map[string]bool)
			for _, s := range c.endpoint().Subchannels {
				remote[s.Remote] = true
				require.True(c, s.Connected.Before(came), "its age is all that tells")
			}
			require.Equal(c, map[string]bool{"192.0.2.1:443": true}, remote)
			c.wait(11 * time.Minute)
			c.calls(400)
			share := 0
			for _, n := range second.Calls() {
				share += n
			}
			require.InDelta(c, 200, share, 60, "of 400 RPCs, after one maxLifetime")
		},
	}
}
