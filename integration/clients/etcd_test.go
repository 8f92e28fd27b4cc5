package clients

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

type keys struct {
	etcdserverpb.UnimplementedKVServer
}

func (keys) Put(context.Context, *etcdserverpb.PutRequest) (*etcdserverpb.PutResponse, error) {
	return &etcdserverpb.PutResponse{Header: &etcdserverpb.ResponseHeader{}}, nil
}

func newEtcd(address, pool string) (*clientv3.Client, error) {
	// docs: etcd
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{address},
		DialOptions: []grpc.DialOption{
			grpc.WithDisableServiceConfig(), // of the client's own resolver
			grpc.WithDefaultServiceConfig(pool),
		},
	})
	// end
	return client, err
}

func TestEtcd(t *testing.T) {
	s := start(t, func(r grpc.ServiceRegistrar) { etcdserverpb.RegisterKVServer(r, keys{}) })
	client, err := newEtcd("http://"+s.Addr(), pool)
	require.NoError(t, err)
	defer client.Close()
	harness.Renewed(t, s.Accepted, func(ctx context.Context) error {
		_, err := client.Put(ctx, "key", "value")
		return err
	})
}
