package rotation

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/grpc-subpool/subpool/integration/internal/load"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// A slowToken is fetched anew for each RPC, as from a server of tokens: after its
// connection was picked, and before it is a stream there.
type slowToken struct{ takes time.Duration }

func (s slowToken) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(s.takes):
		return map[string]string{"authorization": "Bearer a-token"}, nil
	}
}

func (slowToken) RequireTransportSecurity() bool { return true }

// A bundle is both kinds of credentials in one.
type bundle struct {
	transport credentials.TransportCredentials
	perRPC    credentials.PerRPCCredentials
}

func (b bundle) TransportCredentials() credentials.TransportCredentials { return b.transport }
func (b bundle) PerRPCCredentials() credentials.PerRPCCredentials       { return b.perRPC }
func (b bundle) NewWithMode(string) (credentials.Bundle, error)         { return b, nil }

// Virtual time tells what a socket cannot: not one RPC waited for anything but its token
// and its handler. One that was stranded would wait for the streams there to end.
func TestNoRPCThatFetchesItsTokenIsDelayedByARecycle(t *testing.T) {
	const token, handler, lifetime = 50 * time.Millisecond, 450 * time.Millisecond, 10 * time.Second
	perRPC := slowToken{token}
	for _, c := range []struct {
		name string
		dial func(credentials.TransportCredentials) []grpc.DialOption
		call []grpc.CallOption
	}{
		{"of the channel", func(creds credentials.TransportCredentials) []grpc.DialOption {
			return []grpc.DialOption{grpc.WithTransportCredentials(creds), grpc.WithPerRPCCredentials(perRPC)}
		}, nil},
		{"of the call", func(creds credentials.TransportCredentials) []grpc.DialOption {
			return []grpc.DialOption{grpc.WithTransportCredentials(creds)}
		}, []grpc.CallOption{grpc.PerRPCCredentials(perRPC)}},
		{"of a bundle", func(creds credentials.TransportCredentials) []grpc.DialOption {
			// nil, for harness comes with plaintext; a bundle's ServerName is not the authority
			return []grpc.DialOption{grpc.WithTransportCredentials(nil), grpc.WithCredentialsBundle(bundle{creds, perRPC}), grpc.WithAuthority("svc.example.com")}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var server, client identity
				a := newAuthority(t, "a")
				rotate(t, a, &server, &client)
				forServer, forClient := mutual(a, &server, &client)
				s := serve(t, &service{takes: handler, wantToken: true}, forServer, harness.Options{})
				cc := s.NewClient(t, harness.Policy(`{"size":4,"idleTimeout":"0s","maxLifetime":"10s"}`), c.dial(forClient)...)

				chats := load.Start(t, 8, time.Minute, func(ctx context.Context) error {
					return s.chat(ctx, cc, 10, 300*time.Millisecond, c.call...)
				})
				calls := load.Start(t, 16, time.Minute, func(ctx context.Context) error { return s.call(ctx, cc, c.call...) })
				time.Sleep(15 * lifetime)
				streams, rpcs := chats.Stop(), calls.Stop()

				require.Empty(t, rpcs.Errors)
				require.Empty(t, streams.Errors)
				require.Equal(t, token+handler, rpcs.Slowest)
				require.Greater(t, s.Accepted(), 4*15)
				t.Logf("tokens %s: %s and %s streams, the slowest RPC %v, %d connections made", c.name, rpcs, load.Thousands(streams.RPCs), rpcs.Slowest, s.Accepted())
			})
		})
	}
}
