package balancer_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	subpoolbalancer "github.com/grpc-subpool/subpool/balancer"
	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/harness"
	"github.com/grpc-subpool/subpool/internal/registry"
)

// Guards: `p.unregister()` in Close.
func TestAPoolIsListedForAsLongAsItsChannelIsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.Empty(t, registry.Pools())
		s := harness.Start(t, harness.Options{})
		c := client{t, s.NewClient(t, harness.Policy(`{"size":1}`), grpc.WithIdleTimeout(time.Minute)), s}
		require.Empty(t, registry.Pools(), "it has not been used")
		require.NoError(t, c.call())
		first := pool(t)
		time.Sleep(2 * time.Minute)
		require.Empty(t, registry.Pools(), "the channel is idle")
		_, ok := first.Snapshot()
		require.False(t, ok)
		first.Recycle()
		require.NoError(t, c.call())
		require.Greater(t, pool(t).ID(), first.ID(), "another pool")
		require.NoError(t, c.Close())
		require.Empty(t, registry.Pools())
	})
}

// A snapshot is a copy: with the channel dropped, and snapshot and handle held,
// nothing of the pool is left.
//
// Guards: `h.source.Store(nil)` in registry.Register.
func TestAHeldSnapshotKeepsNothingAlive(t *testing.T) {
	s := harness.Start(t, harness.Options{Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}})
	built := subpoolbalancer.NewSpy("spied_subpool")
	handle, snapshot := usedAndClosed(t, s, `{"loadBalancingConfig":[{"spied_subpool":{"size":4,"maxLifetime":"100ms"}}]}`)
	for begin := time.Now(); built.Alive() && time.Since(begin) < 30*time.Second; {
		time.Sleep(10 * time.Millisecond) // goroutines of gRPC's end
		runtime.GC()
	}
	require.False(t, built.Alive())
	require.NotEmpty(t, snapshot.Endpoints)
	_, ok := handle.Snapshot()
	require.False(t, ok)
}

// usedAndClosed is apart so that nothing of it is left on the stack.
func usedAndClosed(t *testing.T, s *harness.Server, serviceConfig string) (inspect.Handle, inspect.Pool) {
	cc, err := grpc.NewClient("passthrough:///server:443", s.DialOptions(serviceConfig)...)
	require.NoError(t, err)
	for s.Accepted() < 12 {
		require.NoError(t, client{t, cc, s}.call())
	}
	handle, snapshot := pool(t), shown(t)
	require.NoError(t, cc.Close())
	return handle, snapshot
}
