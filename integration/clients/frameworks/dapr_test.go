package frameworks

import (
	"context"
	"testing"

	"github.com/dapr/dapr/pkg/proto/runtime/v1"
	dapr "github.com/dapr/go-sdk/client"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

type sidecar struct {
	runtime.UnimplementedDaprServer
}

func (sidecar) DeleteState(context.Context, *runtime.DeleteStateRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func newDapr(address, pool string) (dapr.Client, error) {
	// docs: dapr
	conn, err := grpc.NewClient("dns:///"+address, creds, grpc.WithDefaultServiceConfig(pool))
	if err != nil {
		return nil, err
	}
	client := dapr.NewClientWithConnection(conn)
	// end
	return client, err
}

func TestDapr(t *testing.T) {
	s := start(t, func(r grpc.ServiceRegistrar) { runtime.RegisterDaprServer(r, sidecar{}) })
	client, err := newDapr(s.Addr(), pool)
	require.NoError(t, err)
	defer client.Close()
	harness.Renewed(t, s.Accepted, func(ctx context.Context) error {
		return client.DeleteState(ctx, "store", "key", nil)
	})
}
