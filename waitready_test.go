package subpool_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// soon is a deadline that a server which is not there does not meet.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestWaitReadyWaitsForMinSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{DialTime: time.Second})
		cc := s.NewClient(t, harness.Policy(`{"minSize":4,"maxSize":8}`))
		require.NoError(t, subpool.WaitReady(t.Context(), cc))
		require.Equal(t, 4, s.Open())
	})
}

func TestWaitReadyWaitsForOneWhereMinSizeIsZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		cc := s.NewClient(t, harness.Policy(`{"minSize":0}`))
		require.NoError(t, subpool.WaitReady(t.Context(), cc))
		require.Equal(t, 1, s.Open())
	})
}

// One connection is there, and no other can be made.
func TestWaitReadySaysWhyTheLastAttemptFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		cc := s.NewClient(t, harness.Policy(`{"size":1}`))
		require.NoError(t, subpool.WaitReady(t.Context(), cc))
		s.Break(harness.Refuse)
		s.Cut()
		synctest.Wait()
		err := subpool.WaitReady(soon(t), cc)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "0 of 1 subchannels are READY: subpool: "+cc.CanonicalTarget()+": last connection error: ")
	})
}

func TestWaitReadyTellsAChannelWithAnotherPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		cc := s.NewClient(t, `{}`)
		require.ErrorContains(t, subpool.WaitReady(t.Context(), cc), "the channel is READY without a pool: its policy is another one")
	})
}

// A pool has the target, so it may be the one of the channel, and have lost its connections just now.
//
// Guards: `case pools == 0 && state == connectivity.Ready`.
func TestWaitReadyTakesNoPoolInAnotherStateForNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		refused := grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return nil, net.ErrClosed })
		s.NewClient(t, harness.Policy(`{"size":1}`), refused).Connect()
		synctest.Wait()
		cc := s.NewClient(t, `{}`)
		err := subpool.WaitReady(soon(t), cc)
		require.ErrorContains(t, err, "its pool is in another state")
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// Guards: that `cc.Connect()` is in the loop.
func TestWaitReadyConnectsAgainWhenTheChannelBecomesIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		var dials atomic.Int32
		firstHangs := grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			if dials.Add(1) == 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return s.Dial(ctx, addr)
		})
		cc := s.NewClient(t, harness.Policy(`{"size":1}`), firstHangs, grpc.WithIdleTimeout(time.Second))
		require.NoError(t, subpool.WaitReady(soon(t), cc))
	})
}

// A server takes connections and closes them at once.
//
// Guards: `if state == connectivity.Idle` in WaitReady.
func TestWaitReadyDoesNotCutBackoffShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		s.Break(harness.Flap)
		cc := s.NewClient(t, harness.Policy(`{"size":4}`))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		require.ErrorIs(t, subpool.WaitReady(ctx, cc), context.DeadlineExceeded)
		require.LessOrEqual(t, s.Dials(), 20)
	})
}

func TestWaitReadyTellsAChannelThatIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		cc := s.NewClient(t, harness.Policy(`{}`))
		require.NoError(t, cc.Close())
		require.ErrorContains(t, subpool.WaitReady(t.Context(), cc), "the channel is closed")
	})
}

// mostStreams opens 64 streams at once on a new pool of eight connections, which are READY a
// millisecond apart, and returns how many the fullest connection has.
func mostStreams(t *testing.T, warmUp func(*testing.T, *grpc.ClientConn)) (most int) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		var dials atomic.Int32
		slowly := grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			time.Sleep(20*time.Millisecond + time.Duration(dials.Add(1))*time.Millisecond)
			return s.Dial(ctx, addr)
		})
		cc := s.NewClient(t, harness.Policy(`{"size":8}`), slowly)
		warmUp(t, cc)
		var opening sync.WaitGroup
		for range 64 {
			opening.Go(func() {
				_, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(t.Context())
				require.NoError(t, err)
			})
		}
		opening.Wait()
		time.Sleep(time.Second)
		shown, _ := subpool.Pools()[0].Snapshot()
		for _, sub := range shown.Endpoints[0].Subchannels {
			most = max(most, sub.InFlight)
		}
	})
	return most
}

// docs/operations.md has the figures of 40 such runs.
func TestWaitReadySpreadsStreamsThatAreOpenedAtOnce(t *testing.T) {
	require.Equal(t, 64, mostStreams(t, func(*testing.T, *grpc.ClientConn) {}))
	require.LessOrEqual(t, mostStreams(t, func(t *testing.T, cc *grpc.ClientConn) {
		require.NoError(t, subpool.WaitReady(t.Context(), cc))
	}), 12)
}
