package balancer_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/internal/harness"
)

const limitMetric = "subpool.stream_limit"

var hundredStreams = harness.Options{Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(100)}}

// Guards: `p.recordLimitLocked(noLimit)` in Close. The pool that follows may find a server without a
// limit, and have nothing to tell.
func TestTheLimitThatIsToldEndsWithThePool(t *testing.T) {
	r := harness.NewRecorder()
	story(t, `{"size":1}`, hundredStreams, func(t *testing.T, c client) {
		require.NoError(t, c.call())
		require.Equal(t, 100, r.Sum(limitMetric))
		require.NoError(t, c.Close())
		synctest.Wait()
		require.Equal(t, -1, r.Sum(limitMetric))
	}, grpc.WithStatsHandler(r))
}

// Guards: `x.listed == 0 || x.known > 0` in sum.limit.
func TestAnEndpointThatWasNeverConnectedDoesNotChangeTheLimit(t *testing.T) {
	r := harness.NewRecorder()
	synctest.Test(t, func(t *testing.T) {
		opts := hundredStreams
		opts.DialTime = 10 * time.Second
		s := harness.Start(t, opts)
		m := resolverOf("a:1")
		cc := channelOf(t, s, m, harness.Policy(`{"size":1}`), grpc.WithStatsHandler(r))
		cc.Connect()
		time.Sleep(11 * time.Second)
		require.Equal(t, 100, r.Sum(limitMetric))
		before := r.Calls()
		m.UpdateState(resolver.State{Addresses: []resolver.Address{{Addr: "b:1"}}})
		time.Sleep(5 * time.Second)
		require.Equal(t, 100, r.Sum(limitMetric))
		require.Equal(t, -1, shown(t).Endpoints[0].Limit, "of b:1 nothing is known")
		time.Sleep(6 * time.Second)
		require.Equal(t, 100, r.Sum(limitMetric))
		require.Equal(t, 100, shown(t).Endpoints[0].Limit)
		require.Greater(t, r.Calls(), before)
		m.UpdateState(resolver.State{})
		synctest.Wait()
		require.Equal(t, -1, r.Sum(limitMetric), "there is no server")
	})
}

// Guards: `if !e.Removed()` in streamLimitLocked.
func TestAnEndpointThatOnlyDrainsAllowsNothing(t *testing.T) {
	r := harness.NewRecorder()
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, hundredStreams)
		m := resolverOf("a:1", "b:1")
		cc := channelOf(t, s, m, harness.Policy(`{"size":1}`), grpc.WithStatsHandler(r))
		cc.Connect()
		time.Sleep(time.Second)
		c := client{t, cc, s}
		for range 4 {
			defer c.stream()()
		}
		s.Allow(t, 1, 10)
		time.Sleep(2 * time.Second)
		require.Equal(t, 10, r.Sum(limitMetric))
		first := shown(t).Endpoints[0]
		if first.Limit != 10 {
			first = shown(t).Endpoints[1]
		}
		stays := map[string]string{"a:1": "b:1", "b:1": "a:1"}[first.Addresses[0]]
		m.UpdateState(resolver.State{Addresses: []resolver.Address{{Addr: stays}}})
		synctest.Wait()
		require.Equal(t, 100, r.Sum(limitMetric))
		removed := 0
		for _, e := range shown(t).Endpoints {
			if e.Removed {
				removed++
			}
		}
		require.Equal(t, 1, removed, "it finishes its streams")
	})
}

// A server may state another limit in each millisecond.
//
// Guards: `if !e.clock.reached(l.nextReport)` in lifecycle.Endpoint.reportStreamLimit, and the
// last line there: the last limit is told, too.
func TestALimitThatChangesAllTheTimeIsToldOnceASecond(t *testing.T) {
	r := harness.NewRecorder()
	story(t, `{"size":1,"idleTimeout":"0s"}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Second)
		before := r.Calls()
		for i := range 4999 {
			c.Allow(t, 1, uint32(100+i%2))
			time.Sleep(time.Millisecond)
		}
		c.Allow(t, 1, 7)
		require.LessOrEqual(t, r.Calls()-before, 6)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 7, r.Sum(limitMetric))
		require.Equal(t, 7, shown(t).Endpoints[0].Limit)
		require.Equal(t, "endpoints", shown(t).Decisions[0].What, "the first is not forgotten")
	}, grpc.WithStatsHandler(r))
}

// Guards: `x.known += n` in sum.add: a limit of a server that is gone would be told
// for as long as any endpoint cannot be connected to.
func TestAnEndpointThatIsDeadKeepsNoOldLimit(t *testing.T) {
	r := harness.NewRecorder()
	synctest.Test(t, func(t *testing.T) {
		s, m := harness.Start(t, harness.Options{}), resolverOf("a:1")
		dial := grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			if addr == "dead:1" {
				return nil, errors.New("dead")
			}
			return s.Dial(ctx, addr)
		})
		cc := channelOf(t, s, m, harness.Policy(`{"size":1}`), dial, grpc.WithStatsHandler(r))
		cc.Connect()
		time.Sleep(time.Second)
		s.Allow(t, 1, 0)
		time.Sleep(2 * time.Second)
		require.Equal(t, 0, r.Sum(limitMetric))
		m.UpdateState(addresses("b:1", "dead:1"))
		time.Sleep(2 * time.Second)
		require.Equal(t, -1, r.Sum(limitMetric))
	})
}

// Guards: `e.reportStreamLimit()` in lifecycle.Endpoint.Plan. Where idleTimeout is off no
// later sample is taken.
func TestTheLimitOfAConnectionThatLeftIsNotToldAnyMore(t *testing.T) {
	left := 0
	for range 10 {
		r := harness.NewRecorder()
		synctest.Test(t, func(t *testing.T) {
			s, m := harness.Start(t, hundredStreams), resolverOf("a:1")
			cc := channelOf(t, s, m, harness.Policy(`{"size":2,"idleTimeout":"0s"}`), grpc.WithStatsHandler(r))
			cc.Connect()
			time.Sleep(time.Second)
			s.Allow(t, 1, 10)
			time.Sleep(2 * time.Second)
			require.Equal(t, 10, r.Sum(limitMetric))
			state := addresses("a:1")
			state.ServiceConfig = m.CC().ParseServiceConfig(harness.Policy(`{"size":1,"idleTimeout":"0s"}`))
			m.UpdateState(state)
			synctest.Wait()
			stays := shown(t).Endpoints[0].Subchannels[0].Limit
			require.Equal(t, stays, r.Sum(limitMetric))
			if stays == 100 {
				left++
			}
		})
	}
	require.Positive(t, left)
}
