// Package withchannelz looks at pools through gRPC's channelz. It is a package of its
// own because the service turns channelz on for the whole process.
package withchannelz

import (
	"context"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/channelz/grpc_channelz_v1"
	"google.golang.org/grpc/channelz/service"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// sockets returns what channelz shows of each connection of the channel to target.
func sockets(t *testing.T, z grpc_channelz_v1.ChannelzClient, target string) (sockets []*grpc_channelz_v1.Socket) {
	ctx := t.Context()
	top, err := z.GetTopChannels(ctx, &grpc_channelz_v1.GetTopChannelsRequest{})
	require.NoError(t, err)
	for _, ch := range top.GetChannel() {
		if ch.GetData().GetTarget() != target {
			continue
		}
		for _, ref := range ch.GetSubchannelRef() {
			sub, err := z.GetSubchannel(ctx, &grpc_channelz_v1.GetSubchannelRequest{SubchannelId: ref.GetSubchannelId()})
			require.NoError(t, err)
			for _, ref := range sub.GetSubchannel().GetSocketRef() {
				socket, err := z.GetSocket(ctx, &grpc_channelz_v1.GetSocketRequest{SocketId: ref.GetSocketId()})
				require.NoError(t, err)
				sockets = append(sockets, socket.GetSocket())
			}
		}
	}
	return sockets
}

// facts are what channelz shows of a socket, without its numbers.
func facts(s *grpc_channelz_v1.Socket) map[string]bool {
	facts := map[string]bool{
		"local address":  s.GetLocal().GetTcpipAddress() != nil,
		"remote address": s.GetRemote().GetTcpipAddress() != nil,
		"security":       s.GetSecurity().GetTls() != nil,
		"streams":        s.GetData().GetStreamsStarted() > 0,
	}
	for _, o := range s.GetData().GetOption() {
		facts["option "+o.GetName()] = true
	}
	return facts
}

// Guards: h2conn.Conn.withOptionalMethods: gRPC reads the options of a socket that says it is one.
func TestChannelzShowsOfAPoolWhatItShowsOfAChannel(t *testing.T) {
	z := channelz(t)
	serverTLS, clientTLS := harness.TLS(t, "127.0.0.1")
	for name, c := range map[string]struct {
		opts  harness.Options
		creds credentials.TransportCredentials
	}{
		"plaintext": {harness.Options{TCP: true}, insecure.NewCredentials()},
		"TLS":       {harness.Options{TCP: true, TLS: serverTLS}, credentials.NewTLS(clientTLS)},
	} {
		t.Run(name, func(t *testing.T) {
			shown := func(serviceConfig string, connections int) []*grpc_channelz_v1.Socket {
				s := harness.Start(t, c.opts)
				cc := s.NewClient(t, serviceConfig, grpc.WithTransportCredentials(c.creds))
				for len(s.Calls()) < connections {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					_, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(ctx, &grpc_testing.Empty{})
					cancel()
					require.NoError(t, err)
				}
				return sockets(t, z, "passthrough:///"+s.Addr())
			}
			plain := shown(`{}`, 1)
			require.Len(t, plain, 1)
			t.Log(slices.Sorted(maps.Keys(facts(plain[0]))))
			pool := shown(harness.Policy(`{"size":4}`), 4)
			require.Len(t, pool, 4)
			for _, socket := range pool {
				require.Equal(t, facts(plain[0]), facts(socket))
			}
		})
	}
}

// channelz is a client of the service.
func channelz(t *testing.T) grpc_channelz_v1.ChannelzClient {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	service.RegisterChannelzServiceToServer(server)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	cc, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	return grpc_channelz_v1.NewChannelzClient(cc)
}
