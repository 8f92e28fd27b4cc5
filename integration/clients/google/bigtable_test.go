package google

import (
	"context"
	"testing"
	"time"

	"cloud.google.com/go/bigtable"
	"cloud.google.com/go/bigtable/bttest"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

func newBigtable(ctx context.Context, endpoint, pool string, auth ...option.ClientOption) (*bigtable.Client, error) {
	// docs: bigtable
	config := bigtable.ClientConfig{
		DisableSession:            true, // it has channels of its own
		DisableDynamicChannelPool: true,
		DisableConnectionRecycler: true,
		DisableDirectAccess:       true,
	}
	client, err := bigtable.NewClientWithConfig(ctx, "project", "instance", config, append(auth,
		option.WithEndpoint(endpoint),
		option.WithGRPCConnectionPool(1), // 10 if it is left out
		option.WithGRPCDialOption(grpc.WithDefaultServiceConfig(pool)),
	)...)
	// end
	return client, err
}

func TestBigtable(t *testing.T) {
	server, err := bttest.NewServer("127.0.0.1:0")
	require.NoError(t, err)
	defer server.Close()
	admin, err := bigtable.NewAdminClient(t.Context(), "project", "instance", unsafely(server.Addr)...)
	require.NoError(t, err)
	defer admin.Close()
	require.NoError(t, admin.CreateTable(t.Context(), "table"))
	require.NoError(t, admin.CreateColumnFamily(t.Context(), "table", "family"))

	r := startRelay(t, server.Addr)
	client, err := newBigtable(t.Context(), r.address(), pool, unsafely("")...)
	require.NoError(t, err)
	defer client.Close()
	table := client.Open("table")
	harness.Renewed(t, r.connections, func(ctx context.Context) error {
		m := bigtable.NewMutation()
		m.Set("family", "column", bigtable.Time(time.Unix(1, 0)), []byte("value"))
		return table.Apply(ctx, "row", m)
	})
}

// unsafely is options for a fake server: without TLS, and without credentials.
func unsafely(endpoint string) []option.ClientOption {
	all := []option.ClientOption{
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(creds),
	}
	if endpoint != "" {
		all = append(all, option.WithEndpoint(endpoint))
	}
	return all
}
