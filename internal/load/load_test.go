package load

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fail ends that many RPCs on l with err.
func fail(l *Load, rpcs int, err error) {
	for range rpcs {
		l.Reserve()
		l.Done(balancer.DoneInfo{Err: err, BytesSent: true})
	}
}

var errUnavailable = status.Error(codes.Unavailable, "refused")

// A bubble's clock begins on a full second. It is seconds that begin, not those
// that have passed since: the clock is read once per RPC, and without fractions.
func TestAFailureCountsHalfWithEachSecondThatBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(nil, nil)
		time.Sleep(900 * time.Millisecond)
		fail(l, 10, errUnavailable)
		for _, then := range []struct {
			after time.Duration
			want  uint64
		}{
			{99 * time.Millisecond, 10},
			{time.Millisecond, 5},
			{999 * time.Millisecond, 5},
			{time.Millisecond, 2},
			{time.Second, 1},
			{time.Second, 0},
		} {
			time.Sleep(then.after)
			require.Equal(t, then.want, l.Cost(), "%v after", then.after)
		}
	})
}

// Each new failure adds to what is left of those before.
func TestFailuresAddUpWhileTheyDecay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(nil, nil)
		for _, want := range []uint64{100, 150, 175, 187, 193, 196, 198, 199, 199, 199} {
			fail(l, 100, errUnavailable)
			require.Equal(t, want, l.Cost())
			time.Sleep(time.Second)
		}
	})
}

func TestFailuresCountBesideTheRPCsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(nil, nil)
		l.Reserve()
		fail(l, 2, errUnavailable)
		assert.Equal(t, uint64(3), l.Cost())
		assert.Equal(t, 1, l.InFlight(), "what failed is no longer in flight")
	})
}

// Any other code is an answer.
func TestCodesOfAServerInTroubleAreFailuresOfTheConnection(t *testing.T) {
	trouble := []codes.Code{codes.Unavailable, codes.Internal, codes.Unknown, codes.ResourceExhausted, codes.DeadlineExceeded, codes.DataLoss}
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := New(nil, nil)
				fail(l, 1, status.Error(code, "told by the server"))
				want := uint64(0)
				if slices.Contains(trouble, code) {
					want = 1
				}
				require.Equal(t, want, l.Cost())
			})
		})
	}
}

func TestAnErrorIsJudgedByItsStatusHoweverItIsWrapped(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want uint64
	}{
		{"no status, which is UNKNOWN", errors.New("unavailable"), 1},
		{"wrapped", fmt.Errorf("rpc: %w", errUnavailable), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := New(nil, nil)
				fail(l, 1, tt.err)
				require.Equal(t, tt.want, l.Cost())
			})
		})
	}
}

// Without the CompareAndSwap in failures every pick would read the clock for ever
// on a connection that failed once.
func TestAPenaltyThatDecayedIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(nil, nil)
		fail(l, 1, errUnavailable)
		time.Sleep(time.Second)
		l.Cost()
		require.Zero(t, l.penalty.Load())
	})
}

// A pick that found an old penalty must not remove the new one: with a Store in
// failures, instead of the CompareAndSwap, it would.
func TestAFailureMeanwhileIsNotRemovedWithAPenaltyThatDecayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(nil, nil)
		fail(l, 1, errUnavailable)
		found := l.penalty.Load()
		time.Sleep(time.Second)
		fail(l, 1, errUnavailable)
		assert.Zero(t, l.failures(found))
		assert.Equal(t, uint64(1), l.Cost())
	})
}

func TestDecayedHalvesOncePerSecondAndForgivesTheFuture(t *testing.T) {
	const now = 1_000_000_000
	for _, tt := range []struct {
		name         string
		count        uint64
		second       uint32
		later, wants uint64
	}{
		{"at once", 8, now, 0, 8},
		{"a second later", 8, now, 1, 4},
		{"an odd number", 7, now, 1, 3},
		{"the last one", 1, now, 1, 0},
		{"at the end of the halving", 1<<32 - 1, now, 31, 1},
		{"after the end", 1<<32 - 1, now, 32, 0},
		{"after as many seconds as a word has bits", 1<<32 - 1, now, 64, 0},
		{"years later", 1<<32 - 1, now, 1 << 30, 0},
		{"across the end of 32 bits, in 2106", 8, 1<<32 - 1, 1, 4},
		{"the clock set back a second", 8, now, 1<<32 - 1, 0},
		{"the clock set back an hour", 8, now, 1<<32 - 3600, 0},
		{"never any", 0, 0, now, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := tt.second + uint32(tt.later)
			require.Equal(t, tt.wants, decayed(uint64(tt.second)<<32|tt.count, at))
		})
	}
}

// Kept, a penalty from a clock that ran an hour ahead would stay for that hour.
func TestFailuresAreForgivenWhenTheClockIsSetBack(t *testing.T) {
	l := New(nil, nil)
	hourAhead := unixSecond() + 3600
	l.penalty.Store(uint64(hourAhead)<<32 | 8)
	assert.Zero(t, l.Cost())
	assert.Zero(t, l.penalty.Load())
}

// Picks on one connection write its word; on a cache line that it shares, they
// would slow down those on the neighbour. Lines are fetched in pairs, so it takes
// 128 bytes to whatever the heap has on either side.
func TestNoTwoLoadsShareACacheLine(t *testing.T) {
	var l Load
	before := unsafe.Offsetof(l.word)
	after := unsafe.Sizeof(l) - unsafe.Offsetof(l.penalty) - unsafe.Sizeof(l.penalty)
	assert.GreaterOrEqual(t, before, uintptr(128))
	assert.GreaterOrEqual(t, after, uintptr(128))
}

// An RPC whose credentials failed, or whose deadline ended in the queue for a stream.
//
// Guards: `info.BytesSent` in New and in fail.
func TestAnRPCThatNeverHadAStreamWasNotCarried(t *testing.T) {
	l := New(nil, nil)
	l.SetRequestLimit(2, false)
	for _, err := range []error{nil, errUnavailable, status.Error(codes.DeadlineExceeded, ""), status.Error(codes.Internal, "")} {
		for range 3 {
			require.True(t, l.Reserve())
			l.Done(balancer.DoneInfo{Err: err})
		}
	}
	require.Zero(t, l.Starts())
	require.Zero(t, l.InFlight())
	require.Zero(t, l.Cost())
	require.False(t, l.Answered())
}

// Guards: `starts > most` in reserveSlow, `starts < l.requestLimit.Load()` in releaseSlow: RPCs
// that are held would pick, take that back, and report room without end.
func TestAConnectionAtItsRequestLimitTakesNoneAndReportsNoRoom(t *testing.T) {
	demands, rooms := 0, 0
	w := NewWaiters(Signals{Demand: func() { demands++ }, Changed: func() { rooms++ }})
	l := New(w, nil)
	l.SetLimit(2)
	l.SetRequestLimit(2, false)
	w.Renew().held.Add(1)
	require.True(t, l.Reserve())
	require.False(t, l.RequestLimitReached())
	require.Zero(t, demands)
	require.True(t, l.Reserve())
	require.True(t, l.RequestLimitReached())
	require.Equal(t, 1, demands, "the policy is told of the last")
	require.False(t, l.Reserve())
	l.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
	require.Zero(t, rooms)
	require.True(t, l.ReserveQueued(), "where it must")
	l.SetRequestLimit(0, false)
	l.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
	require.Equal(t, 1, rooms)
}

// Guards: `starts+1 == l.requestLimit.Load()` in CancelReserve: an RPC that is held would wait on.
func TestAStartThatIsTakenBackIsRoomOnAConnectionAtItsRequestLimit(t *testing.T) {
	rooms := 0
	w := NewWaiters(Signals{Changed: func() { rooms++ }})
	l := New(w, nil)
	l.SetRequestLimit(1, false)
	require.True(t, l.Reserve())
	require.False(t, l.Reserve())
	w.Hold(w.Renew())
	l.Done(balancer.DoneInfo{Err: errUnavailable})
	require.Equal(t, 1, rooms)
}

// Guards: l.CancelReserve in reserveSlow and ReserveQueued: a pick that looks at a connection
// and goes to another starts no RPC there.
func TestStartsAreRPCsAndNotPicksThatLooked(t *testing.T) {
	l := New(nil, nil)
	l.SetLimit(1)
	require.True(t, l.Reserve())
	for range 5 {
		require.False(t, l.Reserve())
	}
	require.EqualValues(t, 1, l.Starts())
	require.Equal(t, 1, l.InFlight())
	l.Drain()
	require.False(t, l.Reserve())
	require.False(t, l.ReserveQueued())
	require.EqualValues(t, 1, l.Starts())
	l.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
	require.EqualValues(t, 1, l.Starts())
	require.True(t, l.Drained())
}

func TestAnRPCIsUnansweredIfItsDeadlineEndsAfterSendingWithoutAByte(t *testing.T) {
	deadline := status.Error(codes.DeadlineExceeded, "")
	for _, tt := range []struct {
		info balancer.DoneInfo
		want int
	}{
		{balancer.DoneInfo{Err: deadline, BytesSent: true}, 1},
		{balancer.DoneInfo{Err: deadline, BytesSent: true, BytesReceived: true}, 0},
		{balancer.DoneInfo{Err: deadline}, 0}, // it waited for a stream
		{balancer.DoneInfo{Err: status.Error(codes.Canceled, ""), BytesSent: true}, 0},
		{balancer.DoneInfo{BytesSent: true}, 0},
	} {
		unanswered := 0
		l := New(nil, nil)
		l.OnUnanswered(func() { unanswered++ })
		l.Reserve()
		l.Done(tt.info)
		require.Equal(t, tt.want, unanswered)
		require.Zero(t, l.InFlight())
	}
}

// Guards: `info.BytesReceived` in New. An application that answers NOT_FOUND serves.
func TestAnyAnswerOfTheServerHasServed(t *testing.T) {
	for _, info := range []balancer.DoneInfo{
		{}, // the SubConn was not READY
		{Err: status.Error(codes.Unavailable, "")},
		{Err: status.Error(codes.DeadlineExceeded, ""), BytesSent: true},
	} {
		l := New(nil, nil)
		l.Reserve()
		l.Done(info)
		require.False(t, l.Answered(), "%+v", info)
	}
	for _, code := range []codes.Code{codes.OK, codes.NotFound, codes.Unauthenticated, codes.Unavailable} {
		l := New(nil, nil)
		l.Reserve()
		l.Done(balancer.DoneInfo{Err: status.Error(code, ""), BytesSent: true, BytesReceived: true})
		require.True(t, l.Answered(), code)
	}
}

// Guards: `l.failed.Add(1)` and `uint32(p>>32) != second` in penalize.
func TestTheFirstFailureOfASecondIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		l := New(nil, nil)
		l.SetSignals(&Signals{Changed: func() { told++ }})
		for second := range 3 {
			fail(l, 10, errUnavailable)
			require.Equal(t, second+1, told)
			require.EqualValues(t, 10*(second+1), l.Failed())
			time.Sleep(time.Second)
		}
		fail(l, 10, status.Error(codes.NotFound, ""))
		require.EqualValues(t, 30, l.Failed(), "an answer of the application is none")
	})
}
