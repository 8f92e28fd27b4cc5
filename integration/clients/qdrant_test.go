package clients

import (
	"context"
	"net/netip"
	"testing"

	"github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

type vectors struct {
	qdrant.UnimplementedQdrantServer
}

func (vectors) HealthCheck(context.Context, *qdrant.HealthCheckRequest) (*qdrant.HealthCheckReply, error) {
	return &qdrant.HealthCheckReply{Version: "1.17.0"}, nil
}

func newQdrant(host string, port int, pool string) (*qdrant.Client, error) {
	// docs: qdrant
	client, err := qdrant.NewClient(&qdrant.Config{
		Host: host, Port: port,
		PoolSize:    1, // 0 means three channels, each with a pool
		GrpcOptions: []grpc.DialOption{grpc.WithDefaultServiceConfig(pool)},
	})
	// end
	return client, err
}

func TestQdrant(t *testing.T) {
	s := start(t, func(r grpc.ServiceRegistrar) { qdrant.RegisterQdrantServer(r, vectors{}) })
	address := netip.MustParseAddrPort(s.Addr())
	client, err := newQdrant(address.Addr().String(), int(address.Port()), pool)
	require.NoError(t, err)
	defer client.Close()
	harness.Renewed(t, s.Accepted, func(ctx context.Context) error {
		_, err := client.HealthCheck(ctx)
		return err
	})
}
