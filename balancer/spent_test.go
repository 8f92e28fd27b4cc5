package balancer_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/internal/harness"
)

func always(int) bool { return true }

// crowd makes so many callers make rounds of calls each, and returns the failures.
func (c client) crowd(callers, rounds int) []error {
	var mu sync.Mutex
	var failed []error
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range rounds {
				if err := c.call(); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return failed
}

// nginx refuses what comes on a connection behind the last of its keepalive_requests.
// gRPC sends an RPC that was refused again, but only once.
//
// Guards: `q.most.Store(0)` in Load.Refused; `p.spent()` in the picker's any; the
// check of the quota in Load.reserve; `w.OnEnd` in connectedLocked; that Refused
// comes before gRPC's reader has the frame.
func TestNoRPCIsLostToAServerThatEndsConnectionsWithoutAWarning(t *testing.T) {
	for _, settings := range []string{`{"size":1}`, `{"size":4}`, `{"size":4,"picker":"round_robin"}`, `{}`} {
		silent(t, settings, always, func(t *testing.T, c client, s *harness.SilentServer) {
			s.Takes.Store(50)
			s.Delay = time.Millisecond
			require.Empty(t, c.crowd(64, 100))
			require.Positive(t, s.Refused(), "the story is told only if some are")
			require.GreaterOrEqual(t, s.Dials(), 6400/50)
		})
	}
}

// Guards: `took == q.took` in quota.renew; `l.undo()` in notable: starts that were
// none would use the quota up.
func TestOnceItIsKnownHowManyAConnectionTakesNoneIsRefused(t *testing.T) {
	silent(t, `{"size":4}`, always, func(t *testing.T, c client, s *harness.SilentServer) {
		s.Takes.Store(50)
		s.Delay = time.Millisecond
		require.Empty(t, c.crowd(64, 20))
		refused, dials := s.Refused(), s.Dials()
		require.Empty(t, c.crowd(64, 100))
		require.Equal(t, refused, s.Refused())
		require.InDelta(t, 6400/50, s.Dials()-dials, 4, "connections are used to their end")
		retired := shown(t).Totals.Retired
		require.LessOrEqual(t, retired["lost"], int64(8), "before it was known")
		require.GreaterOrEqual(t, retired["requests"], int64(6400/50-4))
	})
}

// Guards: `load.Forgive()` in spendLocked, and `p.recount` there: RPCs wait for it.
func TestAServerThatEndsConnectionsNoMoreIsBelieved(t *testing.T) {
	silent(t, `{"size":4}`, always, func(t *testing.T, c client, s *harness.SilentServer) {
		s.Takes.Store(50)
		s.Delay = time.Millisecond
		require.Empty(t, c.crowd(64, 20))
		s.Takes.Store(0)
		require.Empty(t, c.crowd(64, 20), "within their deadlines")
		dials := s.Dials()
		require.Empty(t, c.crowd(64, 100))
		require.Equal(t, dials, s.Dials())
	})
}

// The RPCs that the server took run on, and it ends the connection within a second,
// before any of them has succeeded. It is no flap: the server serves.
//
// Guards: `l.served.Store(true)` in Load.Refused.
func TestAConnectionThatTookRPCsIsNoFlapThoughNoneHasEnded(t *testing.T) {
	silent(t, `{"size":1}`, nil, func(t *testing.T, c client, s *harness.SilentServer) {
		s.Takes.Store(2)
		var running atomic.Int32
		for range 8 {
			go func() {
				running.Add(1)
				_ = c.within(10 * time.Second)
				running.Add(-1)
			}()
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 8, running.Load())
		require.GreaterOrEqual(t, s.Dials(), 4, "of 8 RPCs 2 go on each")
	})
}

// A server may say that it goes away before any RPC has come, and that it took one. It
// is dialled like one that accepts and closes.
//
// Guards: `starts > 0` in Load.Refused.
func TestAServerThatEndsEachConnectionAtOnceIsNotDialledInAHotLoop(t *testing.T) {
	for _, last := range []int32{0, 1, 1<<31 - 3} {
		silent(t, `{"size":1}`, nil, func(t *testing.T, c client, s *harness.SilentServer) {
			s.Greets.Store(&last)
			s.Hangup()
			time.Sleep(10 * time.Second)
			require.LessOrEqual(t, s.Dials(), 8)
		})
	}
}

// Connections that carried nothing yet end one after the other, each just when an RPC
// comes.
//
// Guards: `kind == blunt` in Wire.ended, of a last stream 0, too.
func TestNoRPCIsLostToConnectionsThatTookNone(t *testing.T) {
	silent(t, `{"size":4}`, always, func(t *testing.T, c client, s *harness.SilentServer) {
		time.Sleep(2 * time.Second)
		s.Ends.Store(4)
		require.Empty(t, c.crowd(8, 1))
		require.Positive(t, s.Refused())
	})
}

// Where lives differ nothing tells when the others end. To stop them for each that does
// would send all RPCs to the one that is new.
//
// Guards: `e.quota.wrong(now)` in spendLocked.
func TestConnectionsWithUnequalLivesDoNotStopEachOther(t *testing.T) {
	silent(t, `{"size":16}`, always, func(t *testing.T, c client, s *harness.SilentServer) {
		s.Delay = 2 * time.Millisecond
		s.Unequal.Store(true)
		s.Takes.Store(500)
		start := time.Now()
		failed := c.crowd(64, 1000)
		require.LessOrEqual(t, len(failed), 20, "of 64,000")
		// 16 connections, one RPC every 2 ms on each: 8 s if all carry as much as they can.
		require.Less(t, time.Since(start), 16*time.Second)
	})
}
