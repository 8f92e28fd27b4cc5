package balancer

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/internal/harness"
	"github.com/grpc-subpool/subpool/internal/load"
)

// seen is the policy, and the pool that it built last.
type seen struct {
	builder
	pool *pool
}

var lastSeen = &seen{}

func init() { balancer.Register(lastSeen) }

func (*seen) Name() string { return "subpool_seen" }

func (s *seen) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	s.pool = newPool(cc, opts)
	return s.pool
}

// Guards: `s.conn = nil` in disconnectLocked, and that a connection is not made of the last.
func TestALostConnectionLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		s.NewClient(t, `{"loadBalancingConfig":[{"subpool_seen":{}}]}`).Connect()
		synctest.Wait()
		present := func() *load.Load {
			lastSeen.pool.mu.Lock()
			defer lastSeen.pool.mu.Unlock()
			return lastSeen.pool.endpoints.list[0].subchannels[0].conn.load
		}
		first := weak.Make(present())
		for range 3 {
			time.Sleep(time.Minute)
			s.Cut()
			synctest.Wait()
		}
		require.NotNil(t, present())
		runtime.GC()
		require.Nil(t, first.Value(), "the first of four connections")
	})
}

// Whether the pool sees the end of the stream or the end of the connection first is for
// the scheduler to say, and only in the first case the pool closes what lingers: so
// it is tried some times.
//
// Guards: what closeLingeringLocked does with closing. Until the next GOAWAY, which may never
// come, a transport that was closed would be remembered, and with it what the connection had.
func TestAConnectionThatIsClosedIsForgottenThoughItLingered(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			s := harness.Start(t, harness.Options{})
			cc := s.NewClient(t, `{"loadBalancingConfig":[{"subpool_seen":{}}]}`)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			st, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(ctx)
			require.NoError(t, err)
			require.NoError(t, st.Send(&grpc_testing.StreamingOutputCallRequest{}))
			time.Sleep(time.Minute)
			s.GoAway(t, 1)
			synctest.Wait()
			cancel()
			time.Sleep(time.Minute)
			lastSeen.pool.mu.Lock()
			closing := len(lastSeen.pool.leftovers.closing)
			lastSeen.pool.mu.Unlock()
			require.Zero(t, closing)
		})
	}
}

// A timer keeps its pool in memory, and gRPC's idle mode closes one pool after the
// other.
//
// Guards: `p.schedule.timer.Stop()` in Close, and `p.closed` in reconcileLocked: a wake that
// was about to come does not know that the pool is closed.
func TestAPoolThatIsClosedHasNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		cc := s.NewClient(t, `{"loadBalancingConfig":[{"subpool_seen":{}}]}`)
		cc.Connect()
		synctest.Wait()
		require.NoError(t, cc.Close())
		p := lastSeen.pool
		require.False(t, p.schedule.timer.Stop(), "a timer was left")
		p.wake()
		require.False(t, p.schedule.timer.Stop(), "a timer was set")
	})
}
