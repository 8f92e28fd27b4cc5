package clients

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

type workflows struct {
	workflowservice.UnimplementedWorkflowServiceServer
}

func (workflows) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{Capabilities: &workflowservice.GetSystemInfoResponse_Capabilities{}}, nil
}

func (workflows) SignalWorkflowExecution(context.Context, *workflowservice.SignalWorkflowExecutionRequest) (*workflowservice.SignalWorkflowExecutionResponse, error) {
	return &workflowservice.SignalWorkflowExecutionResponse{}, nil
}

func newTemporal(ctx context.Context, address, pool string) (client.Client, error) {
	// docs: temporal
	c, err := client.DialContext(ctx, client.Options{
		HostPort: "dns:///" + address,
		ConnectionOptions: client.ConnectionOptions{
			DialOptions: []grpc.DialOption{grpc.WithDefaultServiceConfig(pool)},
		},
	})
	// end
	return c, err
}

func TestTemporal(t *testing.T) {
	s := start(t, func(r grpc.ServiceRegistrar) { workflowservice.RegisterWorkflowServiceServer(r, workflows{}) })
	c, err := newTemporal(t.Context(), s.Addr(), pool)
	require.NoError(t, err)
	defer c.Close()
	harness.Renewed(t, s.Accepted, func(ctx context.Context) error {
		return c.SignalWorkflow(ctx, "order-1", "", "paid", nil)
	})
}
