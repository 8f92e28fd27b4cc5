// Package withoutimport makes the mistake of a newcomer: nothing in it imports
// subpool.
package withoutimport

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// The README's trouble section quotes what gRPC says, so that it can be found by it.
func TestTheREADMEQuotesWhatGRPCSays(t *testing.T) {
	page, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	creds := grpc.WithTransportCredentials(insecure.NewCredentials())

	_, err = grpc.NewClient("dns:///svc.example.com:443", creds,
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"subpool":{"size":8}}]}`))
	require.Contains(t, string(page), "`"+err.Error()+"`")

	cc, err := grpc.NewClient("subpool:///svc.example.com:443?size=8", creds, grpc.WithNoProxy())
	require.NoError(t, err)
	defer cc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = grpc_health_v1.NewHealthClient(cc).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	require.Contains(t, string(page), "`"+status.Convert(err).Message()+"`")
}
