package xds_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/xds"
)

const node = "client"

// A controlPlane is an xDS server of go-control-plane, with one client.
type controlPlane struct {
	t       *testing.T
	addr    string
	cache   cache.SnapshotCache
	version int

	mu    sync.Mutex
	taken map[string]string // the version that the client has, by type
	nacks []string
}

func startControlPlane(t *testing.T) *controlPlane {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &controlPlane{t: t, addr: l.Addr().String(), cache: cache.NewSnapshotCache(true, cache.IDHash{}, nil), taken: map[string]string{}}
	ctx, cancel := context.WithCancel(context.Background())
	s := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(s, server.NewServer(ctx, p.cache, server.CallbackFuncs{
		StreamRequestFunc: func(_ int64, r *discovery.DiscoveryRequest) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.taken[r.GetTypeUrl()] = r.GetVersionInfo()
			if r.GetErrorDetail() != nil {
				p.nacks = append(p.nacks, r.GetErrorDetail().GetMessage())
			}
			return nil
		},
	}))
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		cancel()
		s.Stop()
		<-served
	})
	return p
}

// push tells the client w, and waits until it has taken it.
func (p *controlPlane) push(w world) {
	p.t.Helper()
	p.set(w)
	for _, kind := range []resource.Type{resource.ClusterType, resource.EndpointType} {
		eventually(p.t, func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.taken[kind] == strconv.Itoa(p.version)
		}, "%s of version %d was not taken", kind, p.version)
	}
}

// set makes w what the client is told.
func (p *controlPlane) set(w world) {
	p.t.Helper()
	p.version++
	snapshot, err := cache.NewSnapshot(strconv.Itoa(p.version), map[resource.Type][]types.Resource{
		resource.ListenerType: {w.listener()},
		resource.RouteType:    {w.route()},
		resource.ClusterType:  {w.cluster()},
		resource.EndpointType: {w.endpoints()},
	})
	require.NoError(p.t, err)
	require.NoError(p.t, p.cache.SetSnapshot(p.t.Context(), node, snapshot))
}

// refused returns what the client found wrong with what it was told.
func (p *controlPlane) refused() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nacks
}

// newClient returns a channel that is told by p how to reach the service. roots is a
// file with certificates that p may tell it to trust, or none.
func (p *controlPlane) newClient(creds credentials.TransportCredentials, roots string) *grpc.ClientConn {
	p.t.Helper()
	providers := "{}"
	if roots != "" {
		providers = fmt.Sprintf(`{%q: {"plugin_name": "file_watcher", "config": {"ca_certificate_file": %q}}}`, rootsName, roots)
	}
	bootstrap := fmt.Sprintf(`{
		"xds_servers": [{"server_uri": %q, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
		"node": {"id": %q},
		"certificate_providers": %s
	}`, "passthrough:///"+p.addr, node, providers)
	r, err := xds.NewXDSResolverWithConfigForTesting([]byte(bootstrap))
	require.NoError(p.t, err)
	cc, err := grpc.NewClient("xds:///"+service, grpc.WithTransportCredentials(creds), grpc.WithResolvers(r))
	require.NoError(p.t, err)
	p.t.Cleanup(func() { _ = cc.Close() })
	return cc
}
