package xds_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// sick is a server that fails every RPC while ill.
type sick struct {
	*harness.Server
	ill atomic.Bool
}

func startSick(t *testing.T, opts harness.Options) *sick {
	s := &sick{}
	opts.Handle = func(context.Context, int) error {
		if s.ill.Load() {
			return status.Error(codes.Internal, "ill")
		}
		return nil
	}
	s.Server = harness.Start(t, opts)
	return s
}

// watched is a channel to the servers in virtual time, with outlier detection as
// the parent of subpool: an endpoint is ejected for ten seconds, then for twenty, if
// more than half of its RPCs failed within a second. Two are enough to tell: a connection
// that fails RPCs gets few.
func watched(t *testing.T, settings string, all ...*sick) *grpc.ClientConn {
	t.Helper()
	r := manual.NewBuilderWithScheme("servers")
	byName, state := map[string]*sick{}, resolver.State{}
	for i, s := range all {
		name := fmt.Sprintf("server-%d:443", i+1)
		byName[name] = s
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: name}}})
	}
	r.InitialState(state)
	serviceConfig := fmt.Sprintf(`{"loadBalancingConfig":[{"outlier_detection_experimental":{
		"interval":"1s", "baseEjectionTime":"10s", "maxEjectionPercent":100,
		"failurePercentageEjection":{"threshold":50,"enforcementPercentage":100,"minimumHosts":1,"requestVolume":2},
		"childPolicy":[{"subpool":%s}]}}]}`, settings)
	cc, err := grpc.NewClient("servers:///all", append(all[0].DialOptions(serviceConfig), grpc.WithResolvers(r),
		grpc.WithContextDialer(func(ctx context.Context, name string) (net.Conn, error) { return byName[name].Dial(ctx, name) }))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	cc.Connect()
	synctest.Wait()
	return cc
}

// every makes an RPC each 10 ms for d, and returns how many failed.
func every(cc *grpc.ClientConn, d time.Duration) (failed int) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if call(cc) != nil {
			failed++
		}
	}
	return failed
}

func TestAnOutlierIsEjectedWithAllItsDuplicatesAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := startSick(t, harness.Options{}), startSick(t, harness.Options{}), startSick(t, harness.Options{})
		cc := watched(t, `{"size":3}`, a, b, c)
		require.Zero(t, every(cc, 5*time.Second))
		require.Len(t, a.Calls(), 3)

		a.ill.Store(true)
		failed := every(cc, 3*time.Second)
		require.NotZero(t, failed)
		a.ResetCalls()
		require.Zero(t, every(cc, 5*time.Second), "no RPC fails that another endpoint can take")
		require.Empty(t, a.Calls(), "none of its duplicates is picked")
		require.Equal(t, 3, a.Open(), "nor closed")

		a.ill.Store(false)
		require.Zero(t, every(cc, 10*time.Second))
		require.Len(t, a.Calls(), 3, "all are back")
		for _, s := range []*sick{a, b, c} {
			require.Equal(t, 3, s.Accepted(), "no connection was made again")
		}
		t.Logf("%d RPCs failed before the ejection", failed)
	})
}

// Connections that are made while their endpoint is ejected are ejected too, and
// come back with it.
func TestAnOutlierThatIsRenewedStaysEjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := startSick(t, harness.Options{}), startSick(t, harness.Options{})
		cc := watched(t, `{"size":2,"maxLifetime":"4s"}`, a, b)
		require.Zero(t, every(cc, 2*time.Second))
		a.ill.Store(true)
		require.NotZero(t, every(cc, 2*time.Second))
		a.ResetCalls()
		made := a.Accepted()
		require.Zero(t, every(cc, 7*time.Second))
		require.Empty(t, a.Calls())
		require.Greater(t, a.Accepted(), made, "renewed meanwhile")
		require.LessOrEqual(t, a.Open(), 2+1+2, "two, one that is made, two that drain")
		a.ill.Store(false)
		require.Zero(t, every(cc, 10*time.Second))
		require.NotEmpty(t, a.Calls())
	})
}

// Reconnecting does not help an outlier, either.
func TestAnOutlierThatReconnectsStaysEjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := startSick(t, harness.Options{}), startSick(t, harness.Options{})
		cc := watched(t, `{"size":2}`, a, b)
		require.Zero(t, every(cc, 2*time.Second))
		a.ill.Store(true)
		require.NotZero(t, every(cc, 2*time.Second))
		a.Cut()
		a.ResetCalls()
		require.Zero(t, every(cc, 7*time.Second))
		require.Equal(t, 4, a.Accepted())
		require.Empty(t, a.Calls())
		a.ill.Store(false)
		require.Zero(t, every(cc, 10*time.Second))
		require.Len(t, a.Calls(), 2)
	})
}

// Where every endpoint is ejected, RPCs fail at once and say why; those that wait
// for ready wait.
func TestWhereAllAreOutliersRPCsSayWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startSick(t, harness.Options{})
		cc := watched(t, `{"size":2}`, a)
		a.ill.Store(true)
		require.NotZero(t, every(cc, 2*time.Second))
		a.ill.Store(false)
		require.Equal(t, connectivity.TransientFailure, cc.GetState())
		err := call(cc)
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.ErrorContains(t, err, "the parent policy takes the connection for unhealthy")
		begin := time.Now()
		require.NoError(t, call(cc, grpc.WaitForReady(true)))
		require.Greater(t, time.Since(begin), 5*time.Second)
		require.Equal(t, 2, a.Accepted())
	})
}

// The same where the control plane asks for it, in real time.
func TestAControlPlaneHasAnOutlierEjected(t *testing.T) {
	a, b := startSick(t, harness.Options{TCP: true}), startSick(t, harness.Options{TCP: true})
	p := startControlPlane(t)
	p.set(world{
		policy:     inLocalities(subpool(map[string]any{"size": 3})),
		localities: []locality{{1, []*harness.Server{a.Server, b.Server}}},
		outlier: &cluster.OutlierDetection{
			Interval:                       durationpb.New(200 * time.Millisecond),
			BaseEjectionTime:               durationpb.New(2 * time.Second),
			MaxEjectionPercent:             wrapperspb.UInt32(100),
			FailurePercentageThreshold:     wrapperspb.UInt32(50),
			EnforcingFailurePercentage:     wrapperspb.UInt32(100),
			FailurePercentageMinimumHosts:  wrapperspb.UInt32(1),
			FailurePercentageRequestVolume: wrapperspb.UInt32(5),
		},
	})
	l := startLoad(p.newClient(insecure.NewCredentials(), ""), 8)
	open(t, 3, a.Server, b.Server)
	a.ill.Store(true)
	eventually(t, func() bool {
		l.more(t, 50) // what was on its way
		a.ResetCalls()
		l.more(t, 200)
		return len(a.Calls()) == 0
	}, "it was not ejected")
	a.ill.Store(false)
	eventually(t, func() bool { return len(a.Calls()) == 3 }, "not all came back")
	done, failed := l.stop()
	require.Equal(t, 3, a.Accepted(), "no connection was made again")
	t.Logf("%d RPCs, %d failed before the ejection", done, len(failed))
}
