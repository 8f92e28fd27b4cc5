package subpool_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// Each form of target, on real sockets and through gRPC's own dialer: three
// connections for each host, the right :authority, and TLS that verifies the right
// name, which nothing but the target tells.
func TestATargetMakesThePool(t *testing.T) {
	for _, c := range []struct {
		name      string
		target    func(s, other *harness.Server) string
		authority func(s *harness.Server) string
		unix      bool
	}{
		{"host", func(s, _ *harness.Server) string { return "subpool:///localhost:" + port(s) },
			func(s *harness.Server) string { return "localhost:" + port(s) }, false},
		{"dns", func(s, _ *harness.Server) string { return "subpool:///dns:///localhost:" + port(s) },
			func(s *harness.Server) string { return "localhost:" + port(s) }, false},
		{"passthrough", func(s, _ *harness.Server) string { return "subpool:///passthrough:///" + s.Addr() },
			func(s *harness.Server) string { return s.Addr() }, false},
		{"an escaped path", func(s, _ *harness.Server) string {
			return "subpool:///passthrough:///" + url.PathEscape(s.Addr())
		}, func(s *harness.Server) string { return s.Addr() }, false},
		{"unix", func(s, _ *harness.Server) string { return "subpool:///unix://" + s.Addr() },
			func(*harness.Server) string { return "localhost" }, true},
		{"unix without slashes", func(s, _ *harness.Server) string { return "subpool:///unix:" + s.Addr() },
			func(*harness.Server) string { return "localhost" }, true},
		{"a list", func(s, other *harness.Server) string {
			return fmt.Sprintf("subpool:///localhost:%s,127.0.0.1:%s", port(s), port(other))
		}, func(s *harness.Server) string { return "localhost:" + port(s) }, false},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", c.name, secure), func(t *testing.T) {
				seen := make(chan string, 1000)
				opts := harness.Options{TCP: !c.unix, Unix: c.unix, Handle: func(ctx context.Context, _ int) error {
					md, _ := metadata.FromIncomingContext(ctx)
					seen <- md.Get(":authority")[0]
					return nil
				}}
				creds := insecure.NewCredentials()
				if secure {
					serverTLS, clientTLS := harness.TLS(t, "localhost", "127.0.0.1")
					clientTLS.ServerName = ""
					opts.TLS, creds = serverTLS, credentials.NewTLS(clientTLS)
				}
				s, other := harness.Start(t, opts), harness.Start(t, opts)
				cc, err := grpc.NewClient(c.target(s, other)+"?size=3", grpc.WithTransportCredentials(creds))
				require.NoError(t, err)
				defer cc.Close()

				waitForSpread(t, s, cc, 3)
				require.Equal(t, c.authority(s), <-seen)
				if c.name == "a list" {
					waitForSpread(t, other, cc, 3)
					require.Equal(t, 3, other.Accepted())
				}
				require.Equal(t, 3, s.Accepted())
			})
		}
	}
}

func port(s *harness.Server) string {
	_, port, _ := net.SplitHostPort(s.Addr())
	return port
}

// The other way round: a certificate for another name is refused.
func TestATargetsNameIsVerified(t *testing.T) {
	serverTLS, clientTLS := harness.TLS(t, "svc.example.com")
	clientTLS.ServerName = ""
	s := harness.Start(t, harness.Options{TCP: true, TLS: serverTLS})
	cc, err := grpc.NewClient("subpool:///localhost:"+port(s), grpc.WithTransportCredentials(credentials.NewTLS(clientTLS)))
	require.NoError(t, err)
	defer cc.Close()
	require.ErrorContains(t, emptyCall(cc), "certificate is valid for svc.example.com, not localhost")
}

func TestDialTakesATargetToo(t *testing.T) {
	s := harness.Start(t, harness.Options{TCP: true})
	//nolint:staticcheck // users still call it, so it must work
	cc, err := grpc.Dial("subpool:///localhost:"+port(s)+"?size=3", grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer cc.Close()
	waitForSpread(t, s, cc, 3)
	require.Equal(t, 3, s.Accepted())
}
