package resolver_test

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	grpcresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
	"github.com/grpc-subpool/subpool/resolver"
)

// zone stands for DNS in these tests: each host has a resolver of its own.
type zone map[string]*manual.Resolver

var hosts atomic.Pointer[zone]

func init() {
	grpcresolver.Register(new(zone))
	grpcresolver.Register(&policies{})
}

func (*zone) Scheme() string { return "dns" }

// policies is the same by another name.
type policies struct{ zone }

func (*policies) Scheme() string { return "policies" }

func (*zone) Build(t grpcresolver.Target, cc grpcresolver.ClientConn, opts grpcresolver.BuildOptions) (grpcresolver.Resolver, error) {
	r, ok := (*hosts.Load())[t.Endpoint()]
	if !ok {
		return nil, errors.New("no such host")
	}
	return r.Build(t, cc, opts)
}

// A client is a channel in virtual time, to a server where each RPC takes 10 ms.
type client struct {
	*grpc.ClientConn
	*harness.Server
	t      *testing.T
	a, b   *manual.Resolver // of the hosts a and b
	closed *atomic.Int32    // how many of them
}

func story(t *testing.T, target string, tell func(t *testing.T, c client), opts ...grpc.DialOption) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := client{t: t, a: manual.NewBuilderWithScheme("dns"), b: manual.NewBuilderWithScheme("dns"), closed: new(atomic.Int32)}
		c.a.CloseCallback = func() { c.closed.Add(1) }
		c.b.CloseCallback = c.a.CloseCallback
		hosts.Store(&zone{"a": c.a, "b": c.b})
		c.Server = harness.Start(t, harness.Options{Handle: func(context.Context, int) error {
			time.Sleep(10 * time.Millisecond)
			return nil
		}})
		var err error
		c.ClientConn, err = grpc.NewClient(target, c.DialOptions(`{}`, opts...)...)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		c.Connect()
		synctest.Wait()
		tell(t, c)
	})
}

func (c client) call(opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	_, err := grpc_testing.NewTestServiceClient(c).EmptyCall(ctx, &grpc_testing.Empty{}, opts...)
	synctest.Wait()
	return err
}

func addresses(addrs ...string) (s grpcresolver.State) {
	for _, a := range addrs {
		s.Addresses = append(s.Addresses, grpcresolver.Address{Addr: a})
	}
	return s
}

// Guards: `delete(fields, name)` and `fields` being kept, in withPolicy.
func TestWhatTheInnerResolverConfiguresIsKeptButItsPolicy(t *testing.T) {
	story(t, "subpool:///a?size=3", func(t *testing.T, c client) {
		for _, policy := range []string{`"loadBalancingConfig":[{"pick_first":{}}]`, `"LoadBalancingPOLICY":"round_robin"`, `"loadbalancingconfig":[{"pick_first":{}}]`} {
			state := addresses("x:1")
			state.ServiceConfig = c.a.CC().ParseServiceConfig(`{"methodConfig":[{"name":[{}],"timeout":"0.005s"}],` + policy + `}`)
			c.a.UpdateState(state)
			synctest.Wait()
			require.Equal(t, codes.DeadlineExceeded, status.Code(c.call()), "by the method's own timeout")
			require.Equal(t, 3, c.Open())
		}
		state := addresses("x:1")
		state.ServiceConfig = c.a.CC().ParseServiceConfig(`null`)
		c.a.UpdateState(state)
		require.NoError(t, c.call())
		require.Equal(t, 3, c.Open())
	})
}

// Guards: the return of gRPC's own result where the inner JSON cannot be read.
func TestAServiceConfigThatCannotBeReadFailsAsAlways(t *testing.T) {
	story(t, "subpool:///a?size=3", func(t *testing.T, c client) {
		state := addresses("x:1")
		state.ServiceConfig = c.a.CC().ParseServiceConfig(`{"methodConfig":`)
		c.a.UpdateState(state)
		require.ErrorContains(t, c.call(grpc.WaitForReady(true)), "error parsing service config")
	})
}

// As xds does it: no addresses, but policies that would find them.
//
// Guards: `s.ServiceConfig == m.policies`.
func TestAResolverWithPoliciesOfItsOwnIsRefused(t *testing.T) {
	story(t, "subpool:///policies:///a?size=3", func(t *testing.T, c client) {
		var state grpcresolver.State
		state.ServiceConfig = c.a.CC().ParseServiceConfig(`{"loadBalancingConfig":[{"xds_cluster_manager_experimental":{}}]}`)
		c.a.UpdateState(state)
		require.ErrorContains(t, c.call(grpc.WaitForReady(true)), `subpool: target "subpool:///policies:///a?size=3": `+
			`"policies" gives no addresses but load-balancing policies of its own; use "policies:///a" itself`)
		c.a.UpdateState(addresses("x:1"))
		require.NoError(t, c.call(), "it thought better of it")
	})
}

// DNS has policies in TXT records, and a name may have no address yet.
//
// Guards: `scheme != dnsScheme`.
func TestANameWithoutAddressesIsWaitedFor(t *testing.T) {
	for _, target := range []string{"subpool:///a?size=3", "subpool:///a,b?size=3"} {
		story(t, target, func(t *testing.T, c client) {
			var state grpcresolver.State
			state.ServiceConfig = c.a.CC().ParseServiceConfig(`{"loadBalancingPolicy":"round_robin"}`)
			c.a.UpdateState(state)
			if target != "subpool:///a?size=3" {
				c.b.UpdateState(addresses("y:1"))
				require.NoError(t, c.call())
				c.a.UpdateState(state)
				require.NoError(t, c.call(), "b is as it was")
				return
			}
			time.AfterFunc(time.Second, func() { c.a.UpdateState(addresses("x:1")) })
			require.NoError(t, c.call(grpc.WaitForReady(true)))
		})
	}
}

// Guards: `m.state == nil && m.err == nil` in publishLocked, and what UpdateState
// returns, by which a resolver asks again.
func TestAHostWithoutAddressesDoesNotSpeakForTheList(t *testing.T) {
	story(t, "subpool:///a,b?size=3", func(t *testing.T, c client) {
		require.Error(t, c.a.CC().UpdateState(grpcresolver.State{}))
		synctest.Wait()
		require.Equal(t, "CONNECTING", c.GetState().String())
		c.b.UpdateState(addresses("y:1"))
		require.NoError(t, c.call())
		require.Error(t, c.a.CC().UpdateState(grpcresolver.State{}), "a must ask again")
		require.NoError(t, c.call())
	})
	story(t, "subpool:///a,b?size=3", func(t *testing.T, c client) {
		c.a.UpdateState(grpcresolver.State{})
		c.b.CC().ReportError(errors.New("the name server is on strike"))
		require.ErrorContains(t, c.call(), "the name server is on strike")
	})
}

// Guards: `!g.built`: the part of a list that answers at once must not serve alone.
func TestAListThatIsRefusedServesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := manual.NewBuilderWithScheme("dns")
		a.InitialState(addresses("x:1"))
		hosts.Store(&zone{"a": a})
		s := harness.Start(t, harness.Options{})
		cc, err := grpc.NewClient("subpool:///a,nowhere", s.DialOptions(`{}`)...)
		require.NoError(t, err)
		defer cc.Close()
		c := client{t: t, ClientConn: cc}
		require.ErrorContains(t, c.call(grpc.WaitForReady(true)), "no such host")
		require.Zero(t, s.Dials())
	})
}

// Guards: `opts.DisableServiceConfig` in Build.
func TestWithoutServiceConfigsATargetIsRefused(t *testing.T) {
	story(t, "subpool:///a?size=3", func(t *testing.T, c client) {
		require.ErrorContains(t, c.call(grpc.WaitForReady(true)), `subpool: target "subpool:///a?size=3": needs the service configs that `+
			`grpc.WithDisableServiceConfig turns off; name the policy in the default service config instead`)
	}, grpc.WithDisableServiceConfig())
}

// Guards: `g.cc.ReportError(err)` in member.ReportError.
func TestAnErrorOfTheInnerResolverReachesRPCs(t *testing.T) {
	story(t, "subpool:///a", func(t *testing.T, c client) {
		c.a.CC().ReportError(errors.New("the name server is on strike"))
		require.ErrorContains(t, c.call(), "the name server is on strike")
		c.a.UpdateState(addresses("x:1"))
		require.NoError(t, c.call())
		c.a.CC().ReportError(errors.New("again"))
		require.NoError(t, c.call(), "what was found stays")
	})
}

// Guards: the loops of group.ResolveNow and group.Close.
func TestAllHostsAreAskedAgainAndClosed(t *testing.T) {
	story(t, "subpool:///a,b", func(t *testing.T, c client) {
		var asked atomic.Int32
		for _, r := range []*manual.Resolver{c.a, c.b} {
			r.ResolveNowCallback = func(grpcresolver.ResolveNowOptions) { asked.Add(1) }
			r.UpdateState(addresses("x:1"))
		}
		require.NoError(t, c.call())
		before := asked.Load()
		c.Cut() // gRPC asks when it loses a connection
		synctest.Wait()
		require.GreaterOrEqual(t, asked.Load(), before+2)
		require.NoError(t, c.Close())
		synctest.Wait()
		require.EqualValues(t, 2, c.closed.Load())
	})
}

// Guards: the union of all members' states.
func TestAListIsAllThatItsHostsHave(t *testing.T) {
	story(t, "subpool:///a,b?size=2", func(t *testing.T, c client) {
		c.a.UpdateState(addresses("x:1"))
		require.NoError(t, c.call(), "while b is looked for")
		require.Equal(t, 2, c.Open())
		c.b.UpdateState(addresses("y:1", "z:1"))
		require.NoError(t, c.call())
		require.Equal(t, 6, c.Open())
		c.a.UpdateState(addresses("x:2"))
		require.NoError(t, c.call())
		require.Equal(t, 6, c.Open())
		require.Equal(t, 8, c.Accepted(), "those of b stayed")
	})
}

// Guards: the same for errors.
func TestAListFailsOnlyWhenAllItsHostsFail(t *testing.T) {
	story(t, "subpool:///a,b?size=2", func(t *testing.T, c client) {
		c.a.CC().ReportError(errors.New("a is unknown"))
		synctest.Wait()
		require.Equal(t, "CONNECTING", c.GetState().String())
		c.b.UpdateState(addresses("y:1"))
		require.NoError(t, c.call())
	})
	story(t, "subpool:///a,b?size=2", func(t *testing.T, c client) {
		c.a.CC().ReportError(errors.New("a is unknown"))
		c.b.CC().ReportError(errors.New("b is unknown"))
		require.ErrorContains(t, c.call(), "b is unknown")
	})
}

// Guards: `g.Close()` where one host cannot be built.
func TestAListWithAHostThatIsRefusedIsRefused(t *testing.T) {
	story(t, "subpool:///a,nowhere?size=2", func(t *testing.T, c client) {
		require.ErrorContains(t, c.call(grpc.WaitForReady(true)), `subpool: target "subpool:///a,nowhere?size=2": no such host`)
		require.EqualValues(t, 1, c.closed.Load(), "a, which was there already")
	})
}

// Guards: `!stamped` in union.
func TestASizeThatTheInnerResolverGivesCounts(t *testing.T) {
	story(t, "subpool:///a?size=3", func(t *testing.T, c client) {
		big := grpcresolver.Endpoint{Addresses: []grpcresolver.Address{{Addr: "big:1"}}}
		c.a.UpdateState(grpcresolver.State{Endpoints: []grpcresolver.Endpoint{resolver.WithSize(big, 5)}})
		require.NoError(t, c.call())
		require.Equal(t, 5, c.Open())
	})
}

// Guards: member.NewAddress; the embedded channel's would go past the policy.
func TestResolversThatWereWrittenLongAgoWork(t *testing.T) {
	story(t, "subpool:///a?size=3", func(t *testing.T, c client) {
		//nolint:staticcheck // old resolvers call it
		c.a.CC().NewAddress([]grpcresolver.Address{{Addr: "x:1"}})
		require.NoError(t, c.call())
		require.Equal(t, 3, c.Open())
	})
}

// Too small takes the stamp away, too large is the most.
func TestASizeIsAnyNumberThatMakesSense(t *testing.T) {
	for given, want := range map[int]int{-1: 0, 0: 0, 1: 1, 1024: 1024, 1025: 1024, math.MaxInt: 1024} {
		n, ok := resolver.Size(resolver.WithSize(grpcresolver.Endpoint{}, given))
		require.Equal(t, want, n)
		require.Equal(t, want > 0, ok)
	}
	_, ok := resolver.Size(grpcresolver.Endpoint{})
	require.False(t, ok)
}
