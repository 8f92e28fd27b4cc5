package subpool_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

func emptyCall(cc grpc.ClientConnInterface, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(ctx, &grpc_testing.Empty{}, opts...)
	return err
}

// each makes n RPCs from that many callers, and returns the errors.
func each(callers, n int, rpc func() error) (failed []error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for c := range callers {
		wg.Go(func() {
			for range n/callers + min(1, max(0, n%callers-c)) {
				if err := rpc(); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// Both ways to make a channel, with and without TLS. Dial may block until the
// first connection is READY, so the test waits for all.
func TestTenThousandRPCsOverSixConnections(t *testing.T) {
	serverTLS, clientTLS := harness.TLS(t, "svc.example.com")
	withTLS := harness.Options{TCP: true, TLS: serverTLS}
	creds := grpc.WithTransportCredentials(credentials.NewTLS(clientTLS))
	plain := harness.Options{TCP: true}
	newClient := func(s *harness.Server, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
		return grpc.NewClient("passthrough:///"+s.Addr(), s.DialOptions(harness.Policy(`{"size":6}`), opts...)...)
	}
	dial := func(s *harness.Server, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
		//nolint:staticcheck // users still call it, so it must work
		return grpc.Dial(s.Addr(), s.DialOptions(harness.Policy(`{"size":6}`), opts...)...)
	}
	for _, c := range []struct {
		name   string
		make   func(*harness.Server, ...grpc.DialOption) (*grpc.ClientConn, error)
		server harness.Options
		opts   []grpc.DialOption
	}{
		{"NewClient", newClient, plain, nil},
		{"Dial", dial, plain, nil},
		{"NewClient with TLS", newClient, withTLS, []grpc.DialOption{creds}},
		{"Dial with TLS", dial, withTLS, []grpc.DialOption{creds}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := harness.Start(t, c.server)
			cc, err := c.make(s, c.opts...)
			require.NoError(t, err)
			defer cc.Close()
			cc.Connect()
			waitForSpread(t, s, cc, 6)

			require.Empty(t, each(24, 10000, func() error { return emptyCall(cc) }))
			require.Equal(t, 6, s.Accepted())

			// RPCs that overlap are spread by what is in flight, and that depends on the load of
			// the machine. One after the other they are spread by chance alone, and 10 % of
			// so many is more than six standard deviations.
			s.ResetCalls()
			require.Empty(t, each(1, 20000, func() error { return emptyCall(cc) }))
			t.Log(s.Calls())
			require.Len(t, s.Calls(), 6)
			for conn, n := range s.Calls() {
				require.InEpsilon(t, 20000/6, n, 0.1, "connection %d", conn)
			}
		})
	}
}

// waitForSpread makes RPCs until all n connections have carried one.
func waitForSpread(t *testing.T, s *harness.Server, cc *grpc.ClientConn, n int) {
	t.Helper()
	for len(s.Calls()) < n {
		require.NoError(t, emptyCall(cc, grpc.WaitForReady(true)))
	}
}

// What a newcomer meets: the server is down, comes, and goes again.
func TestAServerThatComesAndGoes(t *testing.T) {
	reserved, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := reserved.Addr().String()
	require.NoError(t, reserved.Close())

	s := harness.Start(t, harness.Options{}) // for its dial options only
	cc, err := grpc.NewClient("passthrough:///"+addr, append(s.DialOptions(harness.Policy(`{"size":4}`)),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}))...)
	require.NoError(t, err)
	defer cc.Close()
	err = emptyCall(cc)
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.ErrorContains(t, err, "subpool: passthrough:///"+addr)
	require.ErrorContains(t, err, "connection refused")

	server := grpc.NewServer()
	grpc_testing.RegisterTestServiceServer(server, interop.NewTestServer())
	listener, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	require.NoError(t, emptyCall(cc, grpc.WaitForReady(true)))

	server.Stop()
	require.Eventually(t, func() bool { return status.Code(emptyCall(cc)) == codes.Unavailable }, 20*time.Second, 10*time.Millisecond)
}

// Real sockets under a renewal storm: the same story as in virtual time, where
// it also says how long the slowest RPC may take.
func TestNoRPCFailsWhileConnectionsAreRenewedOnSockets(t *testing.T) {
	s := harness.Start(t, harness.Options{TCP: true, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}})
	cc := s.NewClient(t, harness.Policy(`{"size":8,"maxLifetime":"0.2s"}`))
	// Each on a connection of its own: two would take all of one's streams, and
	// RPCs behind them would wait for ever.
	waitForSpread(t, s, cc, 8)
	for s.Streams() < 3 {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		before := s.Streams()
		stream, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(ctx, grpc.WaitForReady(true))
		require.NoError(t, err)
		require.NoError(t, stream.Send(&grpc_testing.StreamingOutputCallRequest{
			ResponseParameters: []*grpc_testing.ResponseParameters{{Size: 1}},
		}))
		_, err = stream.Recv()
		require.NoError(t, err)
		if s.Streams() == before {
			cancel()
		}
	}
	var failed []error
	for s.Accepted() < 60 {
		failed = append(failed, each(16, 1600, func() error { return emptyCall(cc) })...)
	}
	require.Empty(t, failed)
}

// grpc's own expectations, while every connection lives at most 150 ms. The
// functions end the process when a case fails.
func TestInteropWhileConnectionsAreRenewed(t *testing.T) {
	s := harness.Start(t, harness.Options{TCP: true})
	cc := s.NewClient(t, harness.Policy(`{"size":4,"maxLifetime":"150ms"}`))
	client := grpc_testing.NewTestServiceClient(cc)
	ctx := context.Background()
	rounds := 0
	for begin := time.Now(); time.Since(begin) < 6*time.Second || s.Accepted() < 40; rounds++ {
		interop.DoEmptyUnaryCall(ctx, client)
		interop.DoLargeUnaryCall(ctx, client)
		interop.DoClientStreaming(ctx, client)
		interop.DoServerStreaming(ctx, client)
		interop.DoPingPong(ctx, client)
		interop.DoEmptyStream(ctx, client)
		interop.DoTimeoutOnSleepingServer(ctx, client)
		interop.DoCancelAfterBegin(ctx, client)
		interop.DoCancelAfterFirstResponse(ctx, client)
		interop.DoCustomMetadata(ctx, client)
		interop.DoStatusCodeAndMessage(ctx, client)
		interop.DoSpecialStatusMessage(ctx, client)
		interop.DoUnimplementedMethod(ctx, cc)
		interop.DoUnimplementedService(ctx, grpc_testing.NewUnimplementedServiceClient(cc))
	}
	t.Logf("%d rounds, %d connections made", rounds, s.Accepted())
}
