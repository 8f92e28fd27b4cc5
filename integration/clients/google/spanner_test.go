package google

import (
	"context"
	"testing"

	"cloud.google.com/go/spanner"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

const database = "projects/project/instances/instance/databases/database"

func newSpanner(ctx context.Context, config spanner.ClientConfig, endpoint, pool string, auth ...option.ClientOption) (*spanner.Client, error) {
	// docs: spanner
	client, err := spanner.NewClientWithConfig(ctx, database, config, append(auth,
		option.WithEndpoint(endpoint),
		option.WithGRPCConnectionPool(1), // 4 if it is left out
		option.WithGRPCDialOption(grpc.WithDefaultServiceConfig(pool)),
	)...)
	// end
	return client, err
}

func query(ctx context.Context, client *spanner.Client) error {
	return client.Single().Query(ctx, spanner.NewStatement("SELECT 1")).Do(func(*spanner.Row) error { return nil })
}

func TestSpanner(t *testing.T) {
	r := startSpanner(t)
	client, err := newSpanner(t.Context(), quiet, r.address(), pool, unsafely("")...)
	require.NoError(t, err)
	defer client.Close()
	harness.Renewed(t, r.connections, func(ctx context.Context) error { return query(ctx, client) })
}
