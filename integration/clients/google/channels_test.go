package google

import (
	"testing"
	"time"

	"cloud.google.com/go/bigtable"
	"cloud.google.com/go/bigtable/bttest"
	"cloud.google.com/go/spanner"
	"cloud.google.com/go/spanner/spannertest"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// multiplied is options without option.WithGRPCConnectionPool: as many channels as the client likes.
func multiplied(endpoint string) []option.ClientOption {
	return append(unsafely(endpoint), option.WithGRPCDialOption(grpc.WithDefaultServiceConfig(harness.Policy(`{"size":4}`))))
}

func requireConnections(t *testing.T, r *relay, n int) {
	require.Eventually(t, func() bool { return r.connections() == n }, time.Minute, 5*time.Millisecond)
}

func TestBigtablesTenChannelsHaveAPoolEach(t *testing.T) {
	server, err := bttest.NewServer("127.0.0.1:0")
	require.NoError(t, err)
	defer server.Close()
	r := startRelay(t, server.Addr)
	config := bigtable.ClientConfig{DisableSession: true, DisableDynamicChannelPool: true, DisableConnectionRecycler: true, DisableDirectAccess: true}
	client, err := bigtable.NewClientWithConfig(t.Context(), "project", "instance", config, multiplied(r.address())...)
	require.NoError(t, err)
	defer client.Close()
	requireConnections(t, r, 10*4)
}

func TestSpannersFourChannelsHaveAPoolEach(t *testing.T) {
	r := startSpanner(t)
	client, err := spanner.NewClientWithConfig(t.Context(), database, quiet, multiplied(r.address())...)
	require.NoError(t, err)
	defer client.Close()
	for range 4 {
		require.NoError(t, query(t.Context(), client))
	}
	requireConnections(t, r, 4*4)
}

func startSpanner(t *testing.T) *relay {
	server, err := spannertest.NewServer("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(server.Close)
	server.SetLogger(func(string, ...any) {})
	return startRelay(t, server.Addr)
}

// quiet sends no metrics to Google.
var quiet = spanner.ClientConfig{DisableNativeMetrics: true}
