package contender_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/bench/contender"
)

// counting counts the connections of a server.
type counting struct {
	net.Listener
	accepted atomic.Int64
}

func (l *counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return c, err
}

func serve(t *testing.T) *counting {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &counting{Listener: inner}
	s := grpc.NewServer()
	grpc_testing.RegisterTestServiceServer(s, interop.NewTestServer())
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l
}

func TestEveryContenderOpensWhatItSaysAndCarriesRPCs(t *testing.T) {
	for _, c := range []contender.Contender{contender.Plain, contender.Channels, contender.GCP, contender.Lending, contender.Sharing, contender.Subpool} {
		for _, s := range []contender.Settings{{Min: 3, Max: 3}, {Min: 1, Max: 3, Streams: 10}} {
			t.Run(fmt.Sprintf("%s/%d to %d", c.Name, s.Min, s.Max), func(t *testing.T) {
				l := serve(t)
				s.Addr = l.Addr().String()
				p, err := c.Open(s)
				require.NoError(t, err)
				defer p.Close()
				want := int64(c.Connections(s))
				require.Eventually(t, func() bool { return l.accepted.Load() == want }, 20*time.Second, time.Millisecond)

				client := grpc_testing.NewTestServiceClient(p)
				_, err = client.EmptyCall(t.Context(), &grpc_testing.Empty{})
				require.NoError(t, err)
				stream, err := client.FullDuplexCall(t.Context())
				require.NoError(t, err)
				require.NoError(t, stream.CloseSend())
				_, err = stream.Recv()
				require.Error(t, err) // io.EOF
				require.Equal(t, want, l.accepted.Load(), "two RPCs, one after the other, need no more")
			})
		}
	}
}

func TestALentConnectionIsOneCallersUntilItsStreamEnds(t *testing.T) {
	l := serve(t)
	p, err := contender.Lending.Open(contender.Settings{Addr: l.Addr().String(), Min: 1, Max: 1})
	require.NoError(t, err)
	defer p.Close()
	client := grpc_testing.NewTestServiceClient(p)
	stream, err := client.FullDuplexCall(t.Context())
	require.NoError(t, err)

	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = client.EmptyCall(soon, &grpc_testing.Empty{})
	require.ErrorContains(t, err, "DeadlineExceeded")

	require.NoError(t, stream.CloseSend())
	_, err = stream.Recv()
	require.Error(t, err)
	_, err = client.EmptyCall(t.Context(), &grpc_testing.Empty{})
	require.NoError(t, err)
}

// Four streams on connections for two each: the third doubles them.
func TestASharedPoolDoublesAndGoesBack(t *testing.T) {
	l := serve(t)
	p, err := contender.Sharing.Open(contender.Settings{Addr: l.Addr().String(), Min: 1, Max: 8, Streams: 2})
	require.NoError(t, err)
	defer p.Close()
	client := grpc_testing.NewTestServiceClient(p)
	var streams []grpc.BidiStreamingClient[grpc_testing.StreamingOutputCallRequest, grpc_testing.StreamingOutputCallResponse]
	for range 4 {
		s, err := client.FullDuplexCall(t.Context())
		require.NoError(t, err)
		streams = append(streams, s)
	}
	require.Eventually(t, func() bool { return l.accepted.Load() == 2 }, 20*time.Second, time.Millisecond)

	var ended sync.WaitGroup
	for _, s := range streams {
		ended.Go(func() {
			_ = s.CloseSend()
			_, _ = s.Recv()
		})
	}
	ended.Wait()
	for range 4 {
		_, err := client.FullDuplexCall(t.Context())
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return l.accepted.Load() == 3 }, 20*time.Second, time.Millisecond,
		"the second was closed, and is made anew")
}
