package xds_test

import (
	"context"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/credentials/xds"
	"google.golang.org/grpc/peer"

	pool "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// A server allows two streams on a connection. Eight RPCs that stay run at once, for
// the pool knows that limit, whatever secures its connections.
func TestThePoolKnowsTheLimitWhateverSecuresTheConnection(t *testing.T) {
	serverTLS, _ := harness.TLS(t, "127.0.0.1")
	roots := filepath.Join(t.TempDir(), "roots.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: serverTLS.Certificates[0].Certificate[0]}
	require.NoError(t, os.WriteFile(roots, pem.EncodeToMemory(block), 0o600))
	byControlPlane, err := xds.NewClientCredentials(xds.ClientOptions{FallbackCreds: insecure.NewCredentials()})
	require.NoError(t, err)

	for _, c := range []struct {
		name   string
		creds  credentials.TransportCredentials
		secure bool
	}{
		{"the channel's own", insecure.NewCredentials(), false},
		{"the channel's own, wrapped by h2conn", pool.Credentials(insecure.NewCredentials()), false},
		{"what the control plane says, TLS", byControlPlane, true},
		{"what the control plane says, TLS, wrapped by h2conn", pool.Credentials(byControlPlane), true},
		{"what the control plane says, nothing", byControlPlane, false},
		{"what the control plane says, nothing, wrapped by h2conn", pool.Credentials(byControlPlane), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := harness.Options{TCP: true, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}}
			if c.secure {
				opts.TLS = serverTLS
			}
			stay := make(chan struct{})
			opts.Handle = func(context.Context, int) error { <-stay; return nil }
			s, p := harness.Start(t, opts), startControlPlane(t)
			p.set(world{
				policy:     inLocalities(subpool(map[string]any{"minSize": 1, "maxSize": 4})),
				localities: []locality{{1, []*harness.Server{s}}},
				secure:     c.secure,
			})
			cc := p.newClient(c.creds, roots)
			eightStay(t, s, cc, c.secure, func() { close(stay) })
		})
	}
}

// eightStay makes RPCs that stay, looks where they run, and ends them.
func eightStay(t *testing.T, s *harness.Server, cc *grpc.ClientConn, secure bool, end func()) {
	var from [8]peer.Peer
	ended := make(chan error, len(from))
	for i := range from {
		go func() { ended <- call(cc, grpc.Peer(&from[i])) }()
	}
	eventually(t, func() bool { return total(s.Calls()) == len(from) }, "not all run")
	require.Equal(t, 4, s.Accepted())
	for conn, n := range s.Calls() {
		require.Equal(t, 2, n, "connection %d", conn)
	}
	end()
	for range from {
		require.NoError(t, <-ended)
	}
	require.Equal(t, secure, from[0].AuthInfo.AuthType() == "tls")
}

func total(calls map[int]int) (n int) {
	for _, c := range calls {
		n += c
	}
	return n
}
