package balancer_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// A bundle is the application's own, with credentials for each RPC.
type bundle struct {
	transport credentials.TransportCredentials
}

func (b bundle) TransportCredentials() credentials.TransportCredentials { return b.transport }
func (bundle) PerRPCCredentials() credentials.PerRPCCredentials         { return token{} }
func (b bundle) NewWithMode(string) (credentials.Bundle, error)         { return b, nil }

type token struct{}

func (token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"token": "sesame"}, nil
}
func (token) RequireTransportSecurity() bool { return false }

// The two ways by which a connection is wrapped by h2conn, both at once, and neither. A
// pool that knows the server's limit refuses RPCs for which it has no room; one that does
// not must still work.
func TestConnectionsAreWrappedInEitherWay(t *testing.T) {
	plain := grpc.WithTransportCredentials
	wrapped := func(c credentials.TransportCredentials) grpc.DialOption {
		return grpc.WithTransportCredentials(subpool.Credentials(c))
	}
	bundled := func(c credentials.TransportCredentials) grpc.DialOption {
		return grpc.WithCredentialsBundle(bundle{c})
	}
	for _, c := range []struct {
		name    string
		creds   func(credentials.TransportCredentials) grpc.DialOption
		dropped bool // the bundle that the policy gives
		token   []string
		refused int
	}{
		{"its own", plain, false, nil, 3},
		{"the application's", wrapped, true, nil, 3},
		{"both", wrapped, false, nil, 3},
		{"neither", plain, true, nil, 0},
		{"its own, beside a bundle", bundled, false, []string{"sesame"}, 3},
		{"neither, with a bundle", bundled, true, []string{"sesame"}, 0},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", c.name, secure), func(t *testing.T) {
				parent := harness.Parent(t.Name())
				if c.dropped {
					parent.DropCreds()
				}
				synctest.Test(t, func(t *testing.T) {
					var block atomic.Bool
					opts := harness.Options{Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}, Handle: func(ctx context.Context, _ int) error {
						if block.Load() {
							return forever(ctx, 0)
						}
						md, _ := metadata.FromIncomingContext(ctx)
						require.Equal(t, c.token, md.Get("token"))
						return nil
					}}
					transport := insecure.NewCredentials()
					if secure {
						serverTLS, clientTLS := harness.TLS(t, "server")
						opts.TLS, transport = serverTLS, credentials.NewTLS(clientTLS)
					}
					s := harness.Start(t, opts)
					const settings = `{"size":1,"maxPending":0,"maxLifetime":"10s","lifetimeJitter":0,"drainTimeout":"1s","unresponsiveTimeout":"1s"}`
					cc, err := grpc.NewClient("passthrough:///server:443", grpc.WithContextDialer(s.Dial), c.creds(transport),
						grpc.WithDefaultServiceConfig(parent.Policy(`{"subpool":`+settings+`}`)))
					require.NoError(t, err)
					t.Cleanup(func() { _ = cc.Close() })
					c2 := client{t, cc, s}

					var from peer.Peer
					require.NoError(t, c2.call(grpc.Peer(&from)))
					require.Equal(t, secure, from.AuthInfo.AuthType() == "tls")
					block.Store(true)
					ended := c2.begin(5)
					require.Len(t, ended(), c.refused)
					time.Sleep(12 * time.Second)
					require.Equal(t, 2, s.Accepted(), "it was renewed")
					forced := 0
					if c.refused > 0 {
						forced = 2
					}
					require.Len(t, ended(), forced, "without an h2conn.Conn the old one drains for as long as it takes")
				})
			})
		}
	}
}
