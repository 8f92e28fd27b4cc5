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

// callers makes n callers each make that many calls, and returns the failures.
func (c client) callers(n, calls int) []error {
	var mu sync.Mutex
	var failed []error
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for range calls {
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
// gRPC sends an RPC that was refused again, but only once. What that costs before two
// connections have ended is what it costs a plain channel.
//
// Guards: lifecycle's Endpoint.endedAfter; `SetRequestLimit(s.RequestLimit(), s.AwaitsEnd())` in
// limitRequestsLocked; `(*load.Load).AwaitsEnd` in picker.pool.holds; `l.waiters.expectRetry()` in
// load.Load.fail; that `t.OnGoAway(goAway)` in connectedLocked comes before gRPC's reader has
// the frame; `e.usedUp(s.conn)` in lifecycle.Endpoint.cannotStay.
func TestNoRPCIsLostToAServerThatEndsConnectionsAfterSoMany(t *testing.T) {
	const callers, takes = 64, 50
	for settings, burst := range map[string]int{
		`{"size":1}`: 128, `{}`: 72, // more would make it grow
		`{"size":4}`: 0, `{"size":4,"picker":"round_robin"}`: 0, // no burst: four connections would end together, before the limit is known
	} {
		silent(t, settings, always, func(t *testing.T, c client, s *harness.SilentServer) {
			s.Takes.Store(takes)
			s.Delay = time.Millisecond
			// In bursts and no other RPC behind them, or it is chance which of those that the second
			// connection refuses were refused before.
			require.LessOrEqual(t, len(c.callers(burst, 1)), max(0, burst-2*takes), settings)
			require.Empty(t, c.callers(burst, 1), settings)
			require.Empty(t, c.callers(callers, 10), settings)
			require.Positive(t, s.Refused(), "the test shows something only if some are")
			refused, dials := s.Refused(), s.Dials()
			require.Empty(t, c.callers(callers, 100))
			require.Equal(t, refused, s.Refused())
			require.InDelta(t, callers*100/takes, s.Dials()-dials, 6, "connections are used to their end")
			retired := shown(t).Totals.Retired
			require.GreaterOrEqual(t, retired["requests"], int64(callers*100/takes-6))
		})
	}
}

// Guards: `e.refuteDrained(s)` in lifecycle.Endpoint.closeDrained, and `e.liftRequestLimit()` in
// checkRequestLimit.
func TestAServerThatEndsConnectionsNoMoreIsBelieved(t *testing.T) {
	silent(t, `{"size":4}`, always, func(t *testing.T, c client, s *harness.SilentServer) {
		s.Takes.Store(50)
		s.Delay = time.Millisecond
		require.Empty(t, c.callers(64, 20))
		s.Takes.Store(0)
		require.Empty(t, c.callers(64, 20), "within their deadlines")
		dials := s.Dials()
		require.Empty(t, c.callers(64, 100))
		require.Equal(t, dials, s.Dials())
	})
}

// The RPCs that the server took run on, and it ends the connection within a second,
// before any of them has succeeded. It is no flap: the server serves.
//
// Guards: `l.served.Store(true)` in load.Load.GoAway.
func TestAConnectionThatTookRPCsIsNoFlapThoughNoneHasEnded(t *testing.T) {
	silent(t, `{"size":1}`, nil, func(t *testing.T, c client, s *harness.SilentServer) {
		s.Takes.Store(2)
		var running atomic.Int32
		for i := range 8 {
			go func() {
				running.Add(1)
				_ = c.within(10 * time.Second)
				running.Add(-1)
			}()
			time.Sleep(time.Duration(i%2) * 20 * time.Millisecond)
		}
		synctest.Wait()
		require.EqualValues(t, 8, running.Load())
		require.GreaterOrEqual(t, s.Dials(), 4, "of 8 RPCs 2 go on each")
	})
}

// A server may say that it goes away before any RPC has come, and that it took one. It
// is dialled like one that accepts and closes.
//
// Guards: `w>>32 > 0` in load.Load.GoAway.
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
// Guards: internal/load/retry.go, and `s.conn.load.GoAwayReceived()` in inRetryPeriodLocked: the
// pool may look before gRPC tells that the connection is lost.
func TestNoRPCIsLostToConnectionsThatTookNone(t *testing.T) {
	silent(t, `{"size":4}`, always, func(t *testing.T, c client, s *harness.SilentServer) {
		time.Sleep(2 * time.Second)
		s.Ends.Store(4)
		require.Empty(t, c.callers(8, 1))
		require.Positive(t, s.Refused())
	})
}

// Where lives differ, the end of one connection says nothing of the rest.
//
// Guards: that a GOAWAY on one connection keeps RPCs from no other.
func TestConnectionsWithUnequalLivesDoNotStopEachOther(t *testing.T) {
	silent(t, `{"size":16}`, always, func(t *testing.T, c client, s *harness.SilentServer) {
		s.Delay = 2 * time.Millisecond
		s.Unequal.Store(true)
		s.Takes.Store(500)
		start := time.Now()
		failed := c.callers(64, 1000)
		require.LessOrEqual(t, len(failed), 20, "of 64,000")
		// 16 connections, one RPC every 2 ms on each: 8 s if all carry as much as they can.
		require.Less(t, time.Since(start), 16*time.Second)
	})
}

// Two connections end after as many RPCs, by chance, and one RPC in four never ends.
//
// Guards: `e.clock.reached(c.requests.reachedAt.Add(e.requests.endsWithin()))` in lifecycle.Endpoint.checkRequestLimit,
// for connections that drain, too.
func TestAFalseRequestLimitDoesNotPileUpConnections(t *testing.T) {
	var long atomic.Bool
	silent(t, `{"maxSize":4}`, func(n int) bool { return !long.Load() || n%4 != 0 }, func(t *testing.T, c client, s *harness.SilentServer) {
		s.Takes.Store(8)
		s.Delay = time.Millisecond
		c.callers(1, 20)
		time.Sleep(2 * time.Second)
		s.Takes.Store(0)
		long.Store(true)
		dials := s.Dials()
		for range 1000 {
			go func() { _ = c.within(10 * time.Second) }()
			time.Sleep(5 * time.Millisecond)
		}
		require.LessOrEqual(t, s.Dials()-dials, 20)
	})
}

// The server has ended many connections after eight RPCs, and then ends none any more.
//
// Guards: `longestHold` in lifecycle.Endpoint.awaitsEnd, and load.Load.AwaitsEnd.
func TestAnRPCIsHeldForTheEndOfAConnectionForASecondAtMost(t *testing.T) {
	silent(t, `{"size":1}`, always, func(t *testing.T, c client, s *harness.SilentServer) {
		s.Takes.Store(8)
		s.Delay = time.Millisecond
		require.Empty(t, c.callers(1, 8*30))
		s.Takes.Store(0)
		s.Refuse.Store(true)
		for range 30 {
			begun := time.Now()
			require.NoError(t, c.call())
			require.LessOrEqual(t, time.Since(begun), 1100*time.Millisecond)
		}
	})
}
