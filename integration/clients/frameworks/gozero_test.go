package frameworks

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/zeromicro/go-zero/core/conf"
	"github.com/zeromicro/go-zero/core/logx"
	"github.com/zeromicro/go-zero/zrpc"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

const goZeroByTarget = `
# docs: go-zero by target
UsersRpc:
  Target: subpool:///users.example.com:8080?size=4
# end
`

const goZeroByEtcd = `
# docs: go-zero by etcd
UsersRpc:
  Target: subpool:///etcd:///etcd.example.com:2379%3Fkey=users.rpc?size=4
# end
`

var goZeroTargets = map[string]string{"a server": goZeroByTarget, "etcd": goZeroByEtcd}

// keys is an etcd that has one key, whose value is the address of a server.
type keys struct {
	etcdserverpb.UnimplementedKVServer
	etcdserverpb.UnimplementedMaintenanceServer
	etcdserverpb.UnimplementedWatchServer
	value string
}

var header = &etcdserverpb.ResponseHeader{Revision: 1}

func (*keys) Status(context.Context, *etcdserverpb.StatusRequest) (*etcdserverpb.StatusResponse, error) {
	return &etcdserverpb.StatusResponse{Header: header, Version: "3.6.9"}, nil
}

func (k *keys) Range(_ context.Context, asked *etcdserverpb.RangeRequest) (*etcdserverpb.RangeResponse, error) {
	answer := &etcdserverpb.RangeResponse{Header: header}
	if string(asked.GetKey()) == "users.rpc/" {
		answer.Kvs = []*mvccpb.KeyValue{{Key: []byte("users.rpc/1"), Value: []byte(k.value)}}
	}
	return answer, nil
}

func (*keys) Watch(stream etcdserverpb.Watch_WatchServer) error {
	err := stream.Send(&etcdserverpb.WatchResponse{Header: header, Created: true})
	<-stream.Context().Done()
	return err
}

// startGoZero starts a server, and what a program's configuration says of it, by way of an
// etcd or not.
func startGoZero(t *testing.T, text string) (*harness.Server, zrpc.RpcClientConf) {
	logx.Disable()
	s := start(t, nil)
	fake := &keys{value: s.Addr()}
	etcd := start(t, func(r grpc.ServiceRegistrar) {
		server, ok := r.(*grpc.Server)
		require.True(t, ok)
		etcdserverpb.RegisterKVServer(server, fake)
		etcdserverpb.RegisterMaintenanceServer(server, fake)
		etcdserverpb.RegisterWatchServer(server, fake)
	})
	text = strings.NewReplacer("users.example.com:8080", s.Addr(), "etcd.example.com:2379", etcd.Addr()).Replace(text)
	var file struct{ UsersRPC zrpc.RpcClientConf }
	require.NoError(t, conf.LoadFromYamlBytes([]byte(text), &file))
	return s, file.UsersRPC
}

func newGoZero(config zrpc.RpcClientConf, pool string) (zrpc.Client, error) {
	// docs: go-zero
	client, err := zrpc.NewClient(config,
		zrpc.WithDialOption(grpc.WithDefaultServiceConfig(pool)), // in place of p2c_ewma
	)
	// end
	return client, err
}

func TestGoZero(t *testing.T) {
	for name, text := range map[string]string{
		"Target":    "UsersRpc: {Target: 'dns:///users.example.com:8080'}",
		"Endpoints": "UsersRpc: {Endpoints: ['users.example.com:8080']}",
		"Etcd":      "UsersRpc: {Etcd: {Hosts: ['etcd.example.com:2379'], Key: users.rpc}}",
	} {
		t.Run(name, func(t *testing.T) {
			s, config := startGoZero(t, text)
			client, err := newGoZero(config, pool)
			require.NoError(t, err)
			defer client.Conn().Close()
			harness.Renewed(t, s.Accepted, emptyCall(client.Conn()))
		})
	}
}

// openGoZero opens a client by its configuration alone, with more settings at the end of its target.
func openGoZero(t *testing.T, text, more string) (*harness.Server, zrpc.Client) {
	t.Helper()
	s, config := startGoZero(t, text)
	config.Target += more
	client, err := zrpc.NewClient(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Conn().Close() })
	return s, client
}

func TestGoZeroByTarget(t *testing.T) {
	for name, text := range goZeroTargets {
		t.Run(name, func(t *testing.T) {
			s, client := openGoZero(t, text, "&maxLifetime=0.3s&lifetimeJitter=0")
			harness.Renewed(t, s.Accepted, emptyCall(client.Conn()))
		})
	}
}

// As it is shown, without renewal: size connections, and each carries RPCs.
func TestGoZeroKeepsTheSize(t *testing.T) {
	for name, text := range goZeroTargets {
		t.Run(name, func(t *testing.T) {
			s, client := openGoZero(t, text, "")
			require.Eventually(t, func() bool {
				return emptyCall(client.Conn())(t.Context()) == nil && len(s.Calls()) == 4
			}, time.Minute, time.Millisecond)
			require.Equal(t, 4, s.Accepted())
			require.Equal(t, 4, s.Open())
		})
	}
}

// A policy that is only named has no settings: one connection while that is enough.
func TestGoZeroThatNamesThePolicyAlone(t *testing.T) {
	s, client := openGoZero(t, "UsersRpc: {Target: 'dns:///users.example.com:8080', BalancerName: subpool}", "")
	for range 100 {
		require.NoError(t, emptyCall(client.Conn())(t.Context()))
	}
	require.Equal(t, 1, s.Accepted())
}

func TestGoZeroRefusesABadTarget(t *testing.T) {
	_, config := startGoZero(t, goZeroByTarget)
	config.Target += "&sise=4"
	_, err := zrpc.NewClient(config)
	require.ErrorContains(t, err, `"sise": unknown setting`)
}
