package balancer_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// limited runs in virtual time a server that allows two streams on a connection; open starts
// RPCs that last until the test ends.
func limited(t *testing.T, settings string, opts harness.Options, tell func(t *testing.T, s *harness.Server, open func(n int))) {
	synctest.Test(t, func(t *testing.T) {
		opts.Server = []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}
		s := harness.Start(t, opts)
		cc := s.NewClient(t, harness.Policy(settings))
		cc.Connect()
		synctest.Wait()
		ctx, cancel := context.WithCancel(context.Background())
		defer synctest.Wait()
		defer cancel()
		tell(t, s, func(n int) {
			for range n {
				go func() { _, _ = grpc_testing.NewTestServiceClient(cc).EmptyCall(ctx, &grpc_testing.Empty{}) }()
			}
			synctest.Wait()
		})
	})
}

func forever(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }

func sum(calls map[int]int) (n int) {
	for _, c := range calls {
		n += c
	}
	return n
}

// Guards: `e.canGrow(demand)` in lifecycle.Endpoint.coming: RPCs that come in one burst would
// queue behind the first. `e.attempts()` there, for subchannels that are Checking, too.
// `p.Waiters.Hold(p.Waiting)` in picker.pool.holdRPC. And `d := waiting` in
// lifecycle.Endpoint.Sample.
func TestRPCsThatNeedMoreConnectionsGetThem(t *testing.T) {
	limited(t, `{"minSize":1,"maxSize":4}`, harness.Options{Handle: forever, DialTime: 50 * time.Millisecond}, func(t *testing.T, s *harness.Server, open func(int)) {
		time.Sleep(50 * time.Millisecond)
		open(8)
		time.Sleep(time.Second)
		require.Equal(t, 8, sum(s.Calls()), "handlers that run")
		require.Equal(t, 4, s.Accepted())
		for conn, n := range s.Calls() {
			require.Equal(t, 2, n, "connection %d", conn)
		}
	})
}

// The others are dialled for 2 s, and a plain channel meets all these deadlines. At a limit of one the connection would
// have nothing to do for most of the time, were all RPCs held for the next picker: 107 of 1,000 ended in time. At
// one of 100 they may be, if that comes as soon as it is worth it: 299 did.
//
// Guards: `p.Waiters.Waiting() < p.Coming*c.InFlight()` in picker.pool.holds; `/time.Duration(freed)` in releasesLocked.
func TestAConnectionWorksWhileOthersAreDialled(t *testing.T) {
	for _, tt := range []struct {
		streams  uint32
		rpcs     int
		deadline time.Duration
	}{{1, 1000, 1100 * time.Millisecond}, {10, 300, 40 * time.Millisecond}, {100, 1000, 15 * time.Millisecond}, {100, 5000, 60 * time.Millisecond}} {
		opts := harness.Options{Handle: lasting(time.Millisecond), DialTime: 2 * time.Second, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(tt.streams)}}
		story(t, `{"minSize":1,"maxSize":16}`, opts, func(t *testing.T, c client) {
			time.Sleep(time.Minute)
			var calls sync.WaitGroup
			var ended atomic.Int32
			for range tt.rpcs {
				calls.Go(func() {
					if c.within(tt.deadline) == nil {
						ended.Add(1)
					}
				})
			}
			calls.Wait()
			require.Equal(t, tt.rpcs, int(ended.Load()), "%+v", tt)
		})
	}
}

// Short RPCs end all the time, but the streams never do.
//
// Guards: holdRPC in picker.pool.pickFrom: those that are queued stay where they are.
func TestStreamsBesideShortRPCsGetTheConnectionsThatCome(t *testing.T) {
	opts := harness.Options{DialTime: 500 * time.Millisecond, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(10)}}
	var calls atomic.Int32
	opts.Handle = func(ctx context.Context, _ int) error {
		if calls.Add(1) <= 60 {
			return lasting(time.Millisecond)(ctx, 0)
		}
		<-ctx.Done()
		return ctx.Err()
	}
	story(t, `{"minSize":1,"maxSize":8}`, opts, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		c.begin(60)
		time.Sleep(10 * time.Millisecond)
		c.begin(60)
		time.Sleep(time.Minute)
		require.EqualValues(t, 60+60, calls.Load())
	})
}

// The second connection has come, and the third is on its way: five more may.
//
// Guards: `n > 0 || e.canGrow(demand)` in lifecycle.Endpoint.coming: 40 of 60.
func TestRPCsAreHeldForAllConnectionsThatMayCome(t *testing.T) {
	opts := harness.Options{Handle: forever, DialTime: 50 * time.Millisecond, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(10)}}
	story(t, `{"minSize":1,"maxSize":8}`, opts, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		for _, n := range []int{13, 7, 40} {
			c.begin(n)
			time.Sleep(25500 * time.Microsecond)
		}
		time.Sleep(time.Minute)
		require.Equal(t, 60, sum(c.Calls()))
	})
}

// Guards: `p.published == next` in publishLocked: nothing else would publish before
// gRPC's backoff is over. Without a place in the connection, one that is released ends.
func TestADialThatFailsReleasesWhatItHeldAtOnce(t *testing.T) {
	opts := harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}}
	story(t, `{"minSize":1,"maxSize":4,"maxPending":0}`, opts, func(t *testing.T, c client) {
		c.Break(harness.Refuse)
		ended := c.begin(5)
		time.Sleep(5 * time.Millisecond) // the demand signal is looked at once in a millisecond
		require.Len(t, ended(), 3)
		require.Greater(t, c.Dials(), 1, "for those three")
	})
}

// The same when it fails late: then not only `p.published == next` releases them.
func TestADialThatFailsReleasesWhatItHeld(t *testing.T) {
	limited(t, `{"minSize":1,"maxSize":4}`, harness.Options{DialTime: 50 * time.Millisecond, Handle: lasting(100 * time.Millisecond)}, func(t *testing.T, s *harness.Server, open func(int)) {
		time.Sleep(50 * time.Millisecond)
		s.Break(harness.Refuse)
		open(10)
		time.Sleep(500 * time.Millisecond)
		require.Equal(t, 10, sum(s.Calls()), "two at a time through what is there")
		require.Equal(t, 1, s.Accepted())
	})
}

// Guards: `l.free(1)` in load.Load.releaseSlow.
func TestADialThatHangsHoldsNoRPCUp(t *testing.T) {
	limited(t, `{"minSize":1,"maxSize":4}`, harness.Options{Handle: lasting(100 * time.Millisecond)}, func(t *testing.T, s *harness.Server, open func(int)) {
		s.Break(harness.Hang)
		open(40)
		// Two at a time for 100 ms each, and a moment between.
		time.Sleep(20*100*time.Millisecond + 20*2*time.Millisecond)
		require.Equal(t, 40, sum(s.Calls()))
		require.Equal(t, 1, s.Accepted())
	})
}

// Guards: `p.schedule.lastPublished.Add(` in releasesLocked: counted from when the place came free,
// two places would stand empty for a millisecond in six, and fewer RPCs end than in a plain channel.
func TestAPlaceThatComesFreeIsTakenAtOnceThoughAHundredAreHeld(t *testing.T) {
	limited(t, `{"minSize":1,"maxSize":4}`, harness.Options{Handle: lasting(5 * time.Millisecond)}, func(t *testing.T, s *harness.Server, open func(int)) {
		s.Break(harness.Hang)
		open(102)
		time.Sleep(50*5*time.Millisecond + time.Millisecond)
		require.Equal(t, 102, sum(s.Calls()), "fifty turns of two, and two that run")
		require.Equal(t, 1, s.Accepted())
	})
}

// Guards: `p.queue(start, info)` in picker.pool.pickFrom.
func TestAtTheMaximumRPCsWaitInTheConnections(t *testing.T) {
	limited(t, `{"size":2}`, harness.Options{Handle: lasting(100 * time.Millisecond)}, func(t *testing.T, s *harness.Server, open func(int)) {
		open(40)
		// Ten turns of four, and two more, for racing picks may share them unevenly.
		time.Sleep(12 * 100 * time.Millisecond)
		require.Equal(t, 40, sum(s.Calls()))
		require.Equal(t, 2, s.Accepted())
	})
}

func lasting(d time.Duration) func(context.Context, int) error {
	return func(ctx context.Context, _ int) error {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
		return nil
	}
}
