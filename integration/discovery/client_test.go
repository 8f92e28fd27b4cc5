package discovery

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/grpc-subpool/subpool/integration/internal/load"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// A dialer counts the connections that it made, and those that are open.
type dialer struct{ made, open atomic.Int32 }

type counted struct {
	net.Conn
	d      *dialer
	closed atomic.Bool
}

func (c *counted) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.d.open.Add(-1)
	}
	return c.Conn.Close()
}

func (d *dialer) dial(ctx context.Context, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	d.made.Add(1)
	d.open.Add(1)
	return &counted{Conn: c, d: d}, nil
}

// etcd's client brings a service config of its own, round_robin, so that must be
// disabled for the one that names the pool to count. A watch is one stream of the
// client's whole life: its connection drains, and is not closed by force.
func TestEtcdsOwnClientLosesNothingOverAPool(t *testing.T) {
	var d dialer
	etcd := newEtcdClient(t, startEtcd(t),
		grpc.WithContextDialer(d.dial),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(harness.Policy(`{"size":4,"maxLifetime":"0.5s"}`)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := etcd.Watch(ctx, "key/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	require.True(t, (<-events).Created)

	var key atomic.Int64
	puts := load.Start(t, 8, 30*time.Second, func(ctx context.Context) error {
		_, err := etcd.Put(ctx, fmt.Sprint("key/", key.Add(1)), "")
		return err
	})
	until(t, func() bool { return d.made.Load() >= 6*size })
	result := puts.Stop()
	require.Empty(t, result.Errors)
	until(t, func() bool { return d.open.Load() == size+1 }) // the watch's is one more

	for seen := 0; seen < result.RPCs; {
		select {
		case r, ok := <-events:
			require.True(t, ok, "the watch was closed")
			require.NoError(t, r.Err())
			seen += len(r.Events)
		case <-time.After(time.Minute):
			require.Fail(t, "the watch lost events", "%d of %d came", seen, result.RPCs)
		}
	}
	t.Logf("etcd's client: %s, %s events of one watch, %d connections made, %d and the watch's at a time",
		result, load.Thousands(result.RPCs), d.made.Load(), size)
}
