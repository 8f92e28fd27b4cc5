package frameworks

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// What the recipes take for given.
var (
	pool  = harness.Policy(harness.Renewing)
	creds = grpc.WithTransportCredentials(insecure.NewCredentials())
)

func start(t *testing.T, register func(grpc.ServiceRegistrar)) *harness.Server {
	return harness.Start(t, harness.Options{TCP: true, Register: register})
}

func emptyCall(conn grpc.ClientConnInterface) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := grpc_testing.NewTestServiceClient(conn).EmptyCall(ctx, &grpc_testing.Empty{})
		return err
	}
}
