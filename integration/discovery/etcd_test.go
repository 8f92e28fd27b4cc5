package discovery

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// startEtcd runs etcd until the test ends, and returns its address.
func startEtcd(t *testing.T) string {
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	c := embed.NewConfig()
	c.Dir, c.LogLevel, c.UnsafeNoFsync = t.TempDir(), "fatal", true
	c.ListenClientUrls, c.AdvertiseClientUrls = anyPort, anyPort
	c.ListenPeerUrls, c.AdvertisePeerUrls = anyPort, anyPort
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	etcd, err := embed.StartEtcd(c)
	require.NoError(t, err)
	t.Cleanup(etcd.Close)
	select {
	case <-etcd.Server.ReadyNotify():
	case <-time.After(time.Minute):
		require.Fail(t, "etcd is not ready")
	}
	return etcd.Clients[0].Addr().String()
}

func newEtcdClient(t *testing.T, addr string, opts ...grpc.DialOption) *clientv3.Client {
	c, err := clientv3.New(clientv3.Config{
		Endpoints:       []string{"http://" + addr},
		DialOptions:     opts,
		MaxUnaryRetries: 1, // that is one attempt: a failure shows
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

const service = "svc"

// A registry is the servers of a service, as etcd names them.
type registry struct {
	t *testing.T
	endpoints.Manager
}

func newRegistry(t *testing.T, etcd *clientv3.Client) registry {
	m, err := endpoints.NewManager(etcd, service)
	require.NoError(t, err)
	return registry{t, m}
}

// start runs a server and registers it.
func (r registry) start(handle func(context.Context, int) error) *harness.Server {
	s := harness.Start(r.t, harness.Options{TCP: true, Handle: handle})
	require.NoError(r.t, r.AddEndpoint(r.t.Context(), service+"/"+s.Addr(), endpoints.Endpoint{Addr: s.Addr()}))
	return s
}

func (r registry) remove(s *harness.Server) {
	require.NoError(r.t, r.DeleteEndpoint(r.t.Context(), service+"/"+s.Addr()))
}
