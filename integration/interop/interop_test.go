// Package interop_test holds the policy to what gRPC expects of any client: the
// interop cases, RPCs that wait for ready, retries.
package interop_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// cases are all that the package has for plaintext and any policy. It has more for
// Google's credentials; pick_first_unary asks for the name of the server, which its own
// does not tell; those of ORCA need a policy of the package's that is a pick_first.
var cases = []func(context.Context, *grpc.ClientConn, grpc_testing.TestServiceClient){
	plain(interop.DoEmptyUnaryCall),
	plain(interop.DoLargeUnaryCall),
	plain(interop.DoClientStreaming),
	plain(interop.DoServerStreaming),
	plain(interop.DoPingPong),
	plain(interop.DoEmptyStream),
	plain(interop.DoTimeoutOnSleepingServer),
	plain(interop.DoCancelAfterBegin),
	plain(interop.DoCancelAfterFirstResponse),
	plain(interop.DoCustomMetadata),
	plain(interop.DoStatusCodeAndMessage),
	plain(interop.DoSpecialStatusMessage),
	func(ctx context.Context, cc *grpc.ClientConn, _ grpc_testing.TestServiceClient) {
		interop.DoUnimplementedMethod(ctx, cc)
	},
	func(ctx context.Context, cc *grpc.ClientConn, _ grpc_testing.TestServiceClient) {
		interop.DoUnimplementedService(ctx, grpc_testing.NewUnimplementedServiceClient(cc))
	},
}

func plain(do func(context.Context, grpc_testing.TestServiceClient, ...grpc.CallOption)) func(context.Context, *grpc.ClientConn, grpc_testing.TestServiceClient) {
	return func(ctx context.Context, _ *grpc.ClientConn, client grpc_testing.TestServiceClient) { do(ctx, client) }
}

// soak is the case rpc_soak. It prints every RPC.
func soak(ctx context.Context, cc *grpc.ClientConn) {
	interop.DoSoakTest(ctx, interop.SoakTestConfig{
		RequestSize: 271828, ResponseSize: 314159, NumWorkers: 8, Iterations: 80,
		PerIterationMaxAcceptableLatency: time.Minute, OverallTimeout: time.Minute,
		ServerAddr:     cc.Target(),
		ChannelForTest: func() (*grpc.ClientConn, func()) { return cc, func() {} },
	})
}

// A case that fails ends the process and says why.
func TestEveryInteropCaseHoldsWhateverBecomesOfTheConnections(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings string
		server   []grpc.ServerOption
		made     int // connections, at least
	}{
		{"they stay", `{"size":4}`, nil, 4},
		{"one that grows", `{}`, nil, 1},
		{"they live 100 ms", `{"size":4,"maxLifetime":"100ms"}`, nil, 60},
		{"they live 100 ms, and each has room for two", `{"size":4,"maxLifetime":"100ms"}`, []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}, 60},
		// Not below a second: that is a server which does not want them.
		{"the server ends them after 2 s", `{"size":4}`, []grpc.ServerOption{
			grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 2 * time.Second}),
		}, 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := harness.Start(t, harness.Options{TCP: true, Server: c.server})
			cc, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithDefaultServiceConfig(harness.Policy(c.settings)))
			require.NoError(t, err)
			defer cc.Close()
			soak(t.Context(), cc)
			rounds := 0
			for ; rounds < 3 || s.Accepted() < c.made; rounds++ {
				for _, do := range cases {
					do(t.Context(), cc, grpc_testing.NewTestServiceClient(cc))
				}
			}
			t.Logf("%d rounds of %d cases, %d connections made", rounds, len(cases), s.Accepted())
		})
	}
}
