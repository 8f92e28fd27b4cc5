package soak

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	_ "google.golang.org/grpc/health" // client-side health checking
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// A channel is a ClientConn under test, with what the test told it.
type channel struct {
	*grpc.ClientConn
	name     string
	resolver *manual.Resolver
	recorder *harness.Recorder
	recycled atomic.Int64 // connections replaced at the end of their lives
	idled    atomic.Int64 // times that the channel went idle

	telling sync.Mutex // held while it is told something
	mu      sync.Mutex
	stints  []stint // the last one is now
	listed  []resolver.Endpoint
	outages []span // when the test let it have no READY connection
}

// A stint is the time that settings were in force.
type stint struct {
	span
	subpool.Config
	health bool // client-side health checking
}

// idleAfter is the timeout of channel idle mode, where a channel goes there.
const idleAfter = 200 * time.Millisecond

// newChannel returns a channel to backends. The scheme of its target is its name.
func newChannel(t testing.TB, name string, backends []*backend, opts ...grpc.DialOption) *channel {
	c := &channel{name: name, resolver: manual.NewBuilderWithScheme(name), recorder: harness.NewRecorder(), listed: plain(backends)}
	c.resolver.CloseCallback = func() { c.idled.Add(1) } // gRPC closes it when the channel goes idle
	c.stints = []stint{{span{from: time.Now()}, calmSettings(), false}}
	c.resolver.InitialState(resolver.State{Endpoints: c.listed})
	byAddr := make(map[string]*backend)
	for _, b := range backends {
		byAddr[b.addr] = b
	}
	opts = append([]grpc.DialOption{
		grpc.WithTransportCredentials(newLinkCredentials()),
		grpc.WithPerRPCCredentials(tracing{}),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return byAddr[addr].dial(ctx, c)
		}),
		grpc.WithResolvers(c.resolver),
		grpc.WithStatsHandler(c.recorder),
		grpc.WithDefaultServiceConfig(calmSettings().ServiceConfig()),
		// A server that is back is soon dialled; a slow machine is no failure.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: 10 * time.Second,
		}),
	}, opts...)
	cc, err := grpc.NewClient(c.target(), opts...)
	require.NoError(t, err)
	c.ClientConn = cc
	cc.Connect() // the resolver is built
	return c
}

func (c *channel) target() string { return c.name + ":///servers" }

// now returns what the channel was told last.
func (c *channel) now() (stint, []resolver.Endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stints[len(c.stints)-1], c.listed
}

// configure gives the channel new settings.
func (c *channel) configure(cfg subpool.Config, health bool) {
	c.telling.Lock()
	defer c.telling.Unlock()
	c.mu.Lock()
	c.stints = append(c.stints, stint{span{from: time.Now()}, cfg, health})
	c.mu.Unlock()
	c.tell()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stints[len(c.stints)-2].to = time.Now() // until the new ones are published, the old are in force
}

// list gives the channel new endpoints.
func (c *channel) list(endpoints []resolver.Endpoint) {
	c.telling.Lock()
	defer c.telling.Unlock()
	c.mu.Lock()
	c.listed = endpoints
	c.mu.Unlock()
	c.tell()
}

func (c *channel) tell() {
	st, endpoints := c.now()
	js := st.ServiceConfig()
	if st.health {
		js = `{"healthCheckConfig":{"serviceName":""},` + strings.TrimPrefix(js, "{")
	}
	c.resolver.UpdateState(resolver.State{
		Endpoints:     endpoints,
		ServiceConfig: c.resolver.CC().ParseServiceConfig(js),
	})
}

// during returns the settings that were in force at any time between two instants.
func (c *channel) during(from, to time.Time) (in []stint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.stints {
		if s.touches(from, to) {
			in = append(in, s)
		}
	}
	return in
}

// out reports whether the test let the channel have no READY connection at any time
// between two instants.
func (c *channel) out(from, to time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.outages, func(s span) bool { return s.touches(from, to) })
}

// forget drops the history of what is over.
func (c *channel) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stints, c.outages = slices.Clone(c.stints[len(c.stints)-1:]), nil
}

// retired is told of each connection that gRPC closed though the test did nothing to
// it. It counts those that had lived their lives: for a replacement is what a
// connection of that age is closed for, even if the pool shrinks at that moment.
func (c *channel) retired(l *link) {
	st, listed := c.now()
	life := time.Duration(float64(st.MaxLifetime) * (1 - st.LifetimeJitter))
	known := slices.ContainsFunc(listed, func(e resolver.Endpoint) bool {
		return slices.ContainsFunc(e.Addresses, func(a resolver.Address) bool { return a.Addr == l.to.addr })
	})
	if known && st.MaxLifetime > 0 && time.Since(l.born) >= life {
		c.recycled.Add(1)
	}
}
