package balancer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/connectivity"
)

// four is a pool of four that are ready and have proved themselves.
func four(t *testing.T) *story {
	s := tell(t, `{"size":4,"maxLifetime":"0s","unresponsiveTimeout":"1s"}`)
	s.connect()
	s.pass(time.Minute)
	return s
}

func TestASuspectIsReplacedAndLeavesFirst(t *testing.T) {
	s := four(t)
	dark := s.slots[2]
	require.True(t, s.suspect(dark, s.now))
	s.settle()
	require.Len(t, s.in(dialing), 1, "its successor")
	require.True(t, s.did.resolve)
	require.Len(t, s.in(ready), 4, "it may be picked until then")
	s.connect()
	require.Equal(t, draining, dark.phase)
	require.Len(t, s.in(ready), 4)
}

func TestAmongThoseThatAreDueASuspectLeavesFirst(t *testing.T) {
	s := tell(t, `{"size":20,"maxLifetime":"1m","unresponsiveTimeout":"1s"}`)
	s.connect()
	s.pass(59 * time.Second)
	dark := s.slots[11]
	require.True(t, s.suspect(dark, s.now))
	s.now = s.now.Add(time.Second) // all are due
	s.settle()
	require.Len(t, s.in(dialing), 2, "the budget")
	s.rise(s.in(dialing)[0], s.now)
	s.settle()
	require.Equal(t, draining, dark.phase)
}

func TestASuspectReturnsWhenItsSuccessorCannotConnect(t *testing.T) {
	s := four(t)
	dark := s.slots[2]
	require.True(t, s.suspect(dark, s.now))
	s.settle()
	s.fail(s.in(dialing)[0], 0)
	s.settle()
	require.False(t, dark.doubted)
	require.Len(t, s.slots, 4)
	require.Len(t, s.in(ready), 4)
}

func TestASuspectReturnsWhenItsSuccessorDoesNotServe(t *testing.T) {
	s := four(t)
	dark := s.slots[2]
	require.True(t, s.suspect(dark, s.now))
	s.settle()
	successor := s.in(dialing)[0]
	s.up(successor, 0, s.now)
	s.checked(successor, connectivity.TransientFailure)
	s.settle()
	require.False(t, dark.doubted)
	require.Equal(t, ready, dark.phase)
}

func TestOneSuspectAtATime(t *testing.T) {
	s := four(t)
	require.True(t, s.suspect(s.slots[0], s.now))
	s.now = s.now.Add(time.Hour)
	require.False(t, s.suspect(s.slots[1], s.now))
}

func TestCasesBecomeRarer(t *testing.T) {
	s := four(t)
	begin := s.now
	var cases []time.Duration
	for ; s.now.Sub(begin) < 30*time.Minute; s.now = s.now.Add(time.Second) {
		if s.suspect(s.slots[0], s.now) {
			cases = append(cases, s.now.Sub(begin)/time.Second)
			s.trust()
		}
	}
	require.Equal(t, []time.Duration{0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1111, 1411, 1711}, cases, "in seconds: twice as long, at most 300")

	s.now = s.now.Add(2 * maxCaseGap)
	require.True(t, s.suspect(s.slots[0], s.now))
	s.trust()
	s.now = s.now.Add(time.Second)
	require.True(t, s.suspect(s.slots[0], s.now), "after a long peace it begins anew")
}

func TestNobodySuspectsWhatLeaves(t *testing.T) {
	s := four(t)
	leaving := s.slots[0]
	s.discard(leaving, s.now)
	require.False(t, s.suspect(leaving, s.now))
	s.removed = true
	require.False(t, s.suspect(s.slots[0], s.now))
}

func TestASuspectThatReconnectsIsNone(t *testing.T) {
	s := four(t)
	dark := s.slots[0]
	require.True(t, s.suspect(dark, s.now))
	s.lost(dark, 0, s.now)
	s.settle()
	s.connect()
	require.False(t, dark.doubted)
}

// A goodbye to it would wait for an answer.
func TestASuspectIsCutWhenItIsEmpty(t *testing.T) {
	s := four(t)
	dark, other := s.slots[0], s.slots[1]
	dark.cuttable, other.cuttable = true, true
	require.True(t, s.suspect(dark, s.now))
	s.settle()
	s.connect()
	s.discard(other, s.now)
	s.reap(func(*slot) bool { return true })
	assert.True(t, dark.cutOff)
	assert.False(t, other.cutOff)
}

func TestADrainThatTakesTooLongIsCut(t *testing.T) {
	s := tell(t, `{"size":2,"maxLifetime":"1m","drainTimeout":"5s"}`)
	s.connect()
	first, second := s.slots[0], s.slots[1]
	first.cuttable = true
	s.pass(time.Minute)
	s.connect()
	s.connect()
	require.Len(t, s.leaving, 2)
	at, ok := s.deadline(s.now)
	require.True(t, ok)
	require.Equal(t, s.now.Add(5*time.Second), at)
	s.pass(5*time.Second - 1)
	require.Equal(t, draining, first.phase)
	s.pass(1)
	require.Equal(t, []*slot{first}, s.did.shut)
	require.True(t, first.cutOff)
	require.Equal(t, draining, second.phase, "without an h2conn.Conn there is nothing to cut")
}

func TestSilenceLastsFromTheFirstToTheLastOfItsRPCs(t *testing.T) {
	at := func(d time.Duration) time.Time { return start.Add(d) }
	x := silence{begin: start}
	require.False(t, x.ended(0, at(0), time.Second))
	require.False(t, x.ended(0, at(999*time.Millisecond), time.Second))
	require.True(t, x.ended(0, at(time.Second), time.Second))
	require.True(t, x.ended(0, at(2*time.Second), time.Second), "and goes on")
	require.False(t, x.ended(1, at(3*time.Second), time.Second), "a byte ends it")
	require.False(t, x.ended(1, at(3500*time.Millisecond), time.Second))
	require.True(t, x.ended(1, at(4*time.Second), time.Second))
}

// What is known of the limit on each connection makes the endpoint's.
func TestTheLimitForSizingIsTheSmallestThatCarriesSomething(t *testing.T) {
	type conn struct {
		first, now int
		watched    bool
	}
	for _, c := range []struct {
		name   string
		conns  []conn
		limit  int
		barred bool
	}{
		{"none known", []conn{{-1, -1, false}}, noLimit, false},
		{"one", []conn{{50, 50, false}}, 50, false},
		{"the smallest", []conn{{50, 50, false}, {20, 20, false}, {-1, -1, false}}, 20, false},
		{"lowered", []conn{{50, 5, false}}, 50, false},
		{"raised", []conn{{50, 70, false}}, 70, false},
		{"less the health checking", []conn{{50, 50, true}}, 49, false},
		{"no limit, with health checking", []conn{{noLimit, noLimit, true}}, noLimit, false},
		{"nothing on one", []conn{{50, 0, false}, {80, 80, false}}, 80, false},
		{"nothing on all", []conn{{50, 0, false}, {1, 0, true}}, noLimit, true},
		{"one, and health checking", []conn{{1, 1, true}}, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell(t, `{"minSize":`+string(rune('0'+len(c.conns)))+`}`)
			s.connect()
			for i, conn := range c.conns {
				if conn.first >= 0 {
					s.slots[i].allow(conn.first, true, conn.watched)
					s.slots[i].allow(conn.now, true, conn.watched)
				}
			}
			s.learn(s.now)
			require.Equal(t, c.limit, s.limit)
			require.Equal(t, c.barred, s.barred)
		})
	}
}

// Or the pool would shrink just when the server is overloaded.
func TestAServerThatAllowsNothingNowIsSizedAsBefore(t *testing.T) {
	s := tell(t, `{"minSize":1}`)
	s.connect()
	s.slots[0].allow(50, true, false)
	s.learn(s.now)
	s.slots[0].allow(0, true, false)
	s.learn(s.now)
	require.True(t, s.barred)
	require.Equal(t, 50, s.limit)
}

func TestNothingConnectedIsNotNothingAllowed(t *testing.T) {
	s := tell(t, `{"minSize":1}`)
	s.learn(s.now)
	require.False(t, s.barred)
}

// RPCs wait outside only for what will come.
func TestAnEndpointHoldsOnlyIfItWouldGrow(t *testing.T) {
	s := tell(t, `{"minSize":1,"maxSize":4}`)
	s.connect()
	s.slots[0].allow(50, true, false)
	s.learn(s.now)
	require.True(t, s.holds(s.now))
	s.slots[0].allow(5, true, false) // five RPCs and one are no reason to grow
	s.learn(s.now)
	require.False(t, s.holds(s.now))
}
