package frameworks

import (
	"context"
	"testing"

	"github.com/containerd/containerd/api/services/version/v1"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

type daemon struct {
	version.UnimplementedVersionServer
}

func (daemon) Version(context.Context, *emptypb.Empty) (*version.VersionResponse, error) {
	return &version.VersionResponse{Version: "2.4.2"}, nil
}

func newContainerd(socket, pool string) (*containerd.Client, error) {
	// docs: containerd
	client, err := containerd.New(socket, containerd.WithExtraDialOpts([]grpc.DialOption{
		grpc.WithDefaultServiceConfig(pool),
	}))
	// end
	return client, err
}

func TestContainerd(t *testing.T) {
	s := harness.Start(t, harness.Options{Unix: true, Register: func(r grpc.ServiceRegistrar) {
		version.RegisterVersionServer(r, daemon{})
	}})
	client, err := newContainerd(s.Addr(), pool)
	require.NoError(t, err)
	defer client.Close()
	harness.Renewed(t, s.Accepted, func(ctx context.Context) error {
		_, err := client.Version(ctx)
		return err
	})
}
