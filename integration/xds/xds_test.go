// Package xds_test runs the policy where a control plane chooses it: under the
// policies of google.golang.org/grpc/xds.
package xds_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// eventually waits for a fact that comes by itself.
func eventually(t *testing.T, fact func() bool, format string, args ...any) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !fact(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			require.Failf(t, "not in 30 s", format, args...)
		}
	}
}

// A load is callers that make RPCs until it is stopped.
type load struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	done   atomic.Int64
	mu     sync.Mutex
	failed []error
}

func startLoad(cc *grpc.ClientConn, callers int) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel}
	for range callers {
		l.wg.Go(func() {
			for ctx.Err() == nil {
				if err := call(cc); err != nil {
					l.mu.Lock()
					l.failed = append(l.failed, err)
					l.mu.Unlock()
				}
				l.done.Add(1)
			}
		})
	}
	return l
}

func (l *load) stop() (done int, failed []error) {
	l.cancel()
	l.wg.Wait()
	return int(l.done.Load()), l.failed
}

// more waits until that many more RPCs have ended.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	from := l.done.Load()
	eventually(t, func() bool { return l.done.Load() >= from+n }, "%d more RPCs", n)
}

func call(cc *grpc.ClientConn, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(ctx, &grpc_testing.Empty{}, opts...)
	return err
}

func servers(t *testing.T, n int, opts harness.Options) (all []*harness.Server) {
	opts.TCP = true
	for range n {
		all = append(all, harness.Start(t, opts))
	}
	return all
}

// open waits until each server has that many connections.
func open(t *testing.T, want int, all ...*harness.Server) {
	t.Helper()
	for i, s := range all {
		eventually(t, func() bool { return s.Open() == want }, "%d connections to server %d", want, i+1)
	}
}

// Sizes and pickers are changed under load, and nothing that the new ones allow is
// closed. Weights, which say nothing of connections, change none.
func TestAControlPlaneChangesThePoolUnderLoad(t *testing.T) {
	wraps := map[string]func(proto.Message) proto.Message{
		"as the cluster's policy": func(policy proto.Message) proto.Message { return policy },
		"within localities":       inLocalities,
	}
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			all := servers(t, 3, harness.Options{})
			a, b := locality{1, all[:2]}, locality{2, all[2:]}
			told := func(settings map[string]any, localities ...locality) world {
				return world{policy: wrap(subpool(settings)), localities: localities}
			}
			p := startControlPlane(t)
			p.set(told(map[string]any{"size": 3}, a, b))
			l := startLoad(p.newClient(insecure.NewCredentials(), ""), 16)
			open(t, 3, all...)
			l.more(t, 500)

			p.push(told(map[string]any{"size": 5}, a, b))
			open(t, 5, all...)
			l.more(t, 500)
			turns.built.Store(0)
			p.push(told(map[string]any{"size": 5, "picker": "turns"}, a, b))
			eventually(t, func() bool { return turns.built.Load() > 0 }, "the picker was not used")
			l.more(t, 500)
			p.push(told(map[string]any{"size": 5, "picker": "turns"}, locality{7, a.servers}, locality{3, b.servers}))
			l.more(t, 500)
			for _, s := range all {
				require.Equal(t, 5, s.Accepted(), "none was closed and made again")
				require.Len(t, s.Calls(), 5, "all are used")
			}

			p.push(told(map[string]any{"size": 2}, a, b))
			open(t, 2, all...)
			l.more(t, 500)
			done, failed := l.stop()
			require.Empty(t, failed)
			for _, s := range all {
				require.Equal(t, 5, s.Accepted())
			}
			t.Logf("%d RPCs, 0 failed; 3, then 5, then 2 connections to each of 3 servers, 5 made for each", done)
		})
	}
}

func TestEndpointsComeAndGoUnderLoad(t *testing.T) {
	all := servers(t, 4, harness.Options{})
	told := func(localities ...locality) world {
		return world{policy: inLocalities(subpool(map[string]any{"size": 3})), localities: localities}
	}
	p := startControlPlane(t)
	p.set(told(locality{1, all[:2]}))
	l := startLoad(p.newClient(insecure.NewCredentials(), ""), 16)
	open(t, 3, all[:2]...)
	for range 3 {
		p.push(told(locality{1, all[:3]})) // one more
		open(t, 3, all[:3]...)
		l.more(t, 200)
		p.push(told(locality{1, all[:3]}, locality{1, all[3:]})) // and one elsewhere
		open(t, 3, all...)
		l.more(t, 200)
		p.push(told(locality{1, all[:2]}, locality{1, all[3:]}))
		open(t, 0, all[2])
		p.push(told(locality{1, all[:2]}))
		open(t, 0, all[3])
		l.more(t, 200)
	}
	done, failed := l.stop()
	require.Empty(t, failed)
	for i, s := range all {
		require.Equal(t, []int{3, 3, 9, 9}[i], s.Accepted(), "server %d", i+1)
		require.NotEmpty(t, s.Calls())
	}
	t.Logf("%d RPCs, 0 failed, while 2 of 4 servers came and went 3 times", done)
}

// What is wrong with settings is told to the control plane, and the pool keeps those
// that it has.
func TestBadSettingsAreToldToTheControlPlane(t *testing.T) {
	all := servers(t, 1, harness.Options{})
	told := func(settings map[string]any) world {
		return world{policy: inLocalities(subpool(settings)), localities: []locality{{1, all}}}
	}
	p := startControlPlane(t)
	p.set(told(map[string]any{"size": 3}))
	cc := p.newClient(insecure.NewCredentials(), "")
	require.NoError(t, call(cc))
	open(t, 3, all...)
	p.set(told(map[string]any{"size": 0}))
	eventually(t, func() bool { return len(p.refused()) > 0 }, "nothing was refused")
	require.Contains(t, p.refused()[0], "subpool: size: 0, must be 1 to 1024")
	for range 20 {
		require.NoError(t, call(cc))
	}
	require.Equal(t, 3, all[0].Open())
	p.push(told(map[string]any{"size": 4}))
	open(t, 4, all...)
	require.Equal(t, 4, all[0].Accepted())
}

// The policies of gRPC between the channel and the pool are those that the resources
// ask for, and none of them is made for the test.
func TestWhatStandsAboveThePool(t *testing.T) {
	told := func(size int) world {
		policy := inLocalities(custom(noted.Name(), map[string]any{"size": size}))
		return world{policy: policy, localities: []locality{{1, servers(t, 1, harness.Options{})}}}
	}
	p := startControlPlane(t)
	p.set(told(2))
	require.NoError(t, call(p.newClient(insecure.NewCredentials(), "")))
	p.push(told(3)) // priority starts a child by itself; what comes later has come all the way
	want := []string{"weightedtarget", "wrrlocality", "priority", "clusterimpl", "outlierdetection", "cdsbalancer", "clustermanager"}
	eventually(t, func() bool { return slices.Equal(want, *noted.above.Load()) }, "not these are above: %v", want)
	t.Log(strings.Join(want, " < "))
}
