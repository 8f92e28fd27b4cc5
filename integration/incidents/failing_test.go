package incidents

import (
	"context"
	"crypto/tls"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/harness"
)

func nothingConnects(*testing.T) incident {
	return incident{
		name: "nothing connects", settings: `{"size":2}`,
		happens: func(c client) {
			c.Break(harness.Refuse)
			c.Cut()
			c.wait(3 * time.Second)
			require.Equal(c, codes.Unavailable, status.Code(c.call(time.Second)))
			go func() { _ = c.call(time.Second, grpc.WaitForReady(true)) }()
			synctest.Wait()
			require.Zero(c, c.shown().Held, "it waits in gRPC")
			c.wait(2 * time.Second)
			require.Equal(c, "TRANSIENT_FAILURE", c.shown().State)
			require.Contains(c, c.shown().Error, "connection refused")
			c.decided("failed")
		},
	}
}

func darkConnection(*testing.T) incident {
	return incident{
		name: "a dark connection", settings: `{"size":2,"unresponsiveTimeout":"1s"}`,
		happens: func(c client) {
			c.Darken(harness.Swallow, 2)
			require.Positive(c, c.calls(300))
			require.Equal(c, int64(1), c.shown().Totals.Retired["unresponsive"])
			c.decided("suspected")
		},
	}
}

// Three connections reach backends that are well. The successor of the fourth does, too.
func failingBackend(*testing.T) incident {
	handle := func(_ context.Context, conn int) error {
		if conn == 2 {
			return status.Error(codes.Unavailable, "broken backend")
		}
		return nil
	}
	return incident{
		name: "a failing backend", settings: `{"size":4,"outlierInterval":"10s"}`, server: harness.Options{Handle: handle},
		happens: func(c client) {
			require.Positive(c, c.calls(900))
			failed := 0
			for _, s := range c.endpoint().Subchannels {
				if s.Failed > 0 {
					failed++
				}
			}
			require.Equal(c, 1, failed, "it shows on one connection")
			c.look()
			c.calls(200)
			require.Equal(c, int64(1), c.shown().Totals.Retired["outlier"])
			c.decided("suspected")
			require.Zero(c, c.calls(200))
		},
	}
}

// The server's new certificate is of an authority that the client does not know.
func wrongCertificate(t *testing.T) incident {
	first, trusting := harness.TLS(t, "server")
	second, _ := harness.TLS(t, "server")
	var current atomic.Pointer[tls.Config]
	current.Store(first)
	server := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := current.Load().Clone()
		c.NextProtos = []string{"h2"}
		return c, nil
	}}
	return incident{
		name: "a wrong certificate at renewal", settings: `{"size":2,"maxLifetime":"1m","lifetimeJitter":0,"idleTimeout":"0s"}`,
		server:  harness.Options{TLS: server},
		options: []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(trusting))},
		happens: func(c client) {
			current.Store(second)
			c.wait(3 * time.Minute)
			require.Zero(c, c.calls(100), "the old connections serve")
			p := c.shown()
			require.Equal(c, "READY", p.State)
			require.Positive(c, p.Totals.RenewalsFailed)
			require.Empty(c, p.Totals.Retired["max_lifetime"])
			require.Contains(c, p.Error, "certificate signed by unknown authority")
			c.decided("failed")
		},
	}
}

// gRPC's own server takes a ping in five minutes, and the client sends six in a minute.
func tooManyPings(*testing.T) incident {
	return incident{
		name: "ENHANCE_YOUR_CALM", settings: `{"size":1}`,
		options: []grpc.DialOption{grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second})},
		happens: func(c client) {
			c.open(1)
			c.wait(time.Minute)
			require.Equal(c, int64(1), c.shown().Totals.Retired["lost"])
			require.Contains(c, c.decided("lost"), "ENHANCE_YOUR_CALM")
		},
	}
}

func misspelt(*testing.T) incident {
	return incident{
		name: "a misspelt setting", settings: `{"minSize":2,"maxsize":8}`,
		happens: func(c client) {
			require.Equal(c, []string{"maxsize"}, c.shown().Ignored)
			require.Equal(c, 4, c.shown().Settings.MaxSize)
			c.decided("settings")
		},
	}
}
