package balancer_test

import (
	"context"
	"maps"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/internal/harness"
	poolresolver "github.com/grpc-subpool/subpool/resolver"
)

// stamped are endpoints a:1 and b:1 of these sizes, 0 for none.
func stamped(a, b int) resolver.State {
	endpoint := func(addr string, n int) resolver.Endpoint {
		return poolresolver.WithSize(resolver.Endpoint{Addresses: []resolver.Address{{Addr: addr}}}, n)
	}
	return resolver.State{Endpoints: []resolver.Endpoint{endpoint("a:1", a), endpoint("b:1", b)}}
}

// dialled counts the connections by address.
type dialled struct {
	sync.Mutex
	open map[string]int
}

func (d *dialled) dialer(s *harness.Server) grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := s.Dial(ctx, addr)
		if err != nil {
			return nil, err
		}
		d.add(addr, 1)
		return &countedConn{Conn: c, closed: func() { d.add(addr, -1) }}, nil
	})
}

func (d *dialled) add(addr string, n int) {
	d.Lock()
	defer d.Unlock()
	d.open[addr] += n
}

type countedConn struct {
	net.Conn
	once   sync.Once
	closed func()
}

func (c *countedConn) Close() error {
	c.once.Do(c.closed)
	return c.Conn.Close()
}

// Guards: `e.SetSettings(settingsOf(e.addr, …), now)` in setEndpointsLocked, and
// `e.addr = addr` in endpoint.list for an endpoint that is known.
func TestEachEndpointHasTheSizeThatItsResolverGave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		r, d := resolverOf(), &dialled{open: map[string]int{}}
		r.InitialState(stamped(2, 6))
		cc := channelOf(t, s, r, harness.Policy(`{"size":3,"idleTimeout":"10s"}`), d.dialer(s))
		cc.Connect()
		for _, step := range []struct{ a, b, wantA, wantB int }{
			{2, 6, 2, 6},
			{4, 1, 4, 1},
			{0, 0, 3, 3},
			{0, 100, 3, 100},
		} {
			r.UpdateState(stamped(step.a, step.b))
			time.Sleep(20 * time.Second) // more than idleTimeout, after which surplus is closed
			synctest.Wait()
			d.Lock()
			open := maps.Clone(d.open)
			d.Unlock()
			require.Equal(t, map[string]int{"a:1": step.wantA, "b:1": step.wantB}, open)
		}
	})
}

// Guards: `sizeOf(addr) > sizeOf(e.addr)` in endpoint.list.
func TestAnEndpointThatIsListedTwiceHasTheLargerSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		r := resolverOf()
		endpoint := func(n int) resolver.Endpoint {
			return poolresolver.WithSize(resolver.Endpoint{Addresses: []resolver.Address{{Addr: "a:1"}}}, n)
		}
		r.InitialState(resolver.State{Endpoints: []resolver.Endpoint{endpoint(2), endpoint(6)}})
		cc := channelOf(t, s, r, harness.Policy(`{"idleTimeout":"1s"}`))
		cc.Connect()
		for range 2 {
			time.Sleep(time.Minute)
			require.Equal(t, 6, s.Open())
			r.UpdateState(resolver.State{Endpoints: []resolver.Endpoint{endpoint(6), endpoint(2)}})
		}
	})
}

// Guards: `lifecycle.StateIdle` in aggregate: RPCs must not fail while an endpoint is idle
// that could carry them.
func TestAnIdleEndpointServesWhenAStampedOneCannot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		r := resolverOf()
		r.InitialState(stamped(0, 2))
		var dead sync.Map
		cc := channelOf(t, s, r, harness.Policy(`{"minSize":0,"idleTimeout":"1s"}`),
			grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
				if _, ok := dead.Load(addr); ok {
					return nil, context.DeadlineExceeded
				}
				return s.Dial(ctx, addr)
			}))
		c := client{t, cc, s}
		require.NoError(t, c.call())
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, connectivity.Ready, cc.GetState())
		require.Equal(t, 2, s.Open(), "a is idle")

		dead.Store("b:1", true)
		s.Cut()
		synctest.Wait()
		for range 20 {
			time.Sleep(30 * time.Second)
			require.NoError(t, c.call())
		}
	})
}
