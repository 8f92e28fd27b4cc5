package interop_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// manyRPCs starts as many unary RPCs and a fourth as many streams, and reports how
// each ended. Streams exchange a message.
func manyRPCs(n int, rpc func() error, stream func() error) <-chan error {
	ended := make(chan error, n+n/4)
	for i := range n {
		go func() { ended <- rpc() }()
		if i%4 == 0 {
			go func() { ended <- stream() }()
		}
	}
	return ended
}

func emptyCall(cc *grpc.ClientConn, opts ...grpc.CallOption) error {
	_, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(context.Background(), &grpc_testing.Empty{}, opts...)
	return err
}

func pingPong(cc *grpc.ClientConn, opts ...grpc.CallOption) error {
	stream, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(context.Background(), opts...)
	if err != nil {
		return err
	}
	err = stream.Send(&grpc_testing.StreamingOutputCallRequest{ResponseParameters: []*grpc_testing.ResponseParameters{{Size: 1}}})
	if err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	return stream.CloseSend()
}

// RPCs that wait for ready wait for a server that is not there yet, however it is
// not there; RPCs that do not fail at once while it is known to be down. That an RPC waits can
// be said by the call, or in the same service config as the policy.
func TestRPCsWaitForAServerThatComesLate(t *testing.T) {
	const said = `{"methodConfig":[{"name":[{}],"waitForReady":true}],"loadBalancingConfig":[{"subpool":`
	for _, settings := range []string{`{"size":4}`, `{"minSize":0}`} {
		for name, fault := range map[string]harness.Fault{"refuses": harness.Refuse, "hangs": harness.Hang, "slams": harness.Slam} {
			for _, byConfig := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, it %s, said by config: %v", settings, name, byConfig), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := harness.Start(t, harness.Options{})
						s.Break(fault)
						serviceConfig, waits := harness.Policy(settings), grpc.WaitForReady(true)
						if byConfig {
							serviceConfig, waits = said+settings+`}]}`, grpc.EmptyCallOption{}
						}
						cc := s.NewClient(t, serviceConfig)
						ended := manyRPCs(100, func() error { return emptyCall(cc, waits) }, func() error { return pingPong(cc, waits) })
						time.Sleep(5 * time.Minute)
						require.Empty(t, ended)
						if !byConfig {
							err := emptyCall(cc)
							require.Equal(t, codes.Unavailable, status.Code(err))
							require.ErrorContains(t, err, "subpool: passthrough:///server:443: last connection error: ")
						}
						dials := s.Dials()
						s.Break(harness.None)
						for range cap(ended) {
							require.NoError(t, <-ended)
						}
						t.Logf("%d dials in 5 minutes without a server", dials)
					})
				})
			}
		}
	}
}
