package picker

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
)

func under(q *Quota) *Load {
	l := NewLoad(new(Gate))
	l.Under(q)
	return l
}

// Guards: `starts > most` in Load.notable, and that undo takes the start back.
func TestRacingPicksUseAQuotaUpExactly(t *testing.T) {
	const most = 1000
	l := under(NewQuota(most))
	l.SetLimit(3)
	var took atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for !l.Spent() {
				if l.reserve() {
					took.Add(1)
					l.release()
				}
			}
		})
	}
	all.Wait()
	require.EqualValues(t, most, took.Load())
	require.EqualValues(t, most, l.Starts())
	require.False(t, l.reserve())
	require.False(t, l.force())
}

func TestTheLastPlaceOfAQuotaIsTold(t *testing.T) {
	told := 0
	l := NewLoad(&Gate{Pressure: func() { told++ }})
	l.Under(NewQuota(2))
	require.True(t, l.reserve())
	require.Zero(t, told)
	require.True(t, l.reserve())
	require.Equal(t, 1, told)
}

func TestAQuotaIsOverOnlyIfTheServerRefusedRPCs(t *testing.T) {
	for _, tt := range []struct {
		name               string
		most, starts, took int
		over, kept         bool
	}{
		{"it took all", 0, 5, 5, false, false},
		{"it refused some", 0, 5, 3, true, false},
		{"as many as it may", 5, 5, 5, false, true},
		{"fewer than it may", 5, 5, 3, true, false},
		{"it took none of them", 0, 5, 0, true, false},
		{"not even the health checking", 0, 5, -1, true, false},
		{"there were none", 0, 0, 0, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := NewQuota(tt.most)
			l, other := under(q), under(q)
			for range tt.starts {
				require.True(t, l.reserve())
			}
			require.Equal(t, tt.over, l.Refused(tt.took))
			took, over := q.Over()
			assert.Equal(t, tt.over, over)
			assert.Equal(t, tt.kept, q.Kept())
			assert.Equal(t, tt.over, other.Spent(), "it may be at its end, too")
			if over {
				assert.Equal(t, max(tt.took, 0), took)
			}
			assert.False(t, l.reserve(), "until gRPC knows")
		})
	}
}

// Guards: `own.unbounded() && q.unbounded()` in Join.
func TestConnectionsEndTogetherIfNothingBoundsThem(t *testing.T) {
	for _, tt := range []struct {
		own, others int
		together    bool
	}{{0, 0, true}, {0, 5, false}, {5, 0, false}} {
		q := NewQuota(tt.others)
		l, other := under(NewQuota(tt.own)), under(q)
		l.Join(q)
		require.True(t, other.reserve())
		require.True(t, other.Refused(0))
		require.Equal(t, tt.together, l.Spent(), "%+v", tt)
	}
}

func TestAQuotaThatIsForgivenBoundsNothing(t *testing.T) {
	l := under(NewQuota(1))
	require.True(t, l.reserve())
	require.False(t, l.reserve())
	l.Quota().Forgive(1)
	require.True(t, l.reserve())
	require.False(t, l.Spent())
}

// Guards: `p.spent()` in pool.any: in a full connection it would be refused.
func TestAnRPCThatFindsASpentConnectionWaitsForThePicker(t *testing.T) {
	spent, full := under(NewQuota(1)), NewLoad(new(Gate))
	require.True(t, spent.reserve())
	full.SetLimit(0)
	spent.gate.Open()
	p := &leastInFlight{pool{conns: []conn{{Load: spent}, {Load: full}}, crowd: spent.gate.crowd.Load()}}
	_, err := p.Pick(balancer.PickInfo{})
	require.ErrorIs(t, err, balancer.ErrNoSubConnAvailable)
}

// The server ended a connection just now, and the bound that was lifted is another.
func TestANewBoundIsNotLiftedWithTheOld(t *testing.T) {
	q := NewQuota(5)
	bound := q.Bound()
	l := under(q)
	require.True(t, l.reserve())
	require.True(t, l.reserve())
	require.True(t, l.Refused(1))
	q.Forgive(bound)
	require.Zero(t, q.Bound())
}

// Guards: `!q.mild.Load()` in Load.Refused.
func TestTheOthersOfAQuotaThatIsSoftenedGoOn(t *testing.T) {
	q := NewQuota(0)
	q.Soften(true)
	l, other := under(q), under(q)
	for range 5 {
		require.True(t, l.reserve())
		require.True(t, other.reserve())
	}
	require.True(t, l.Refused(3))
	require.True(t, other.reserve())
}

func TestThoseThatAreForgivenCarryAsManyAsTheOneThatEnded(t *testing.T) {
	q := NewQuota(0)
	l, other := under(q), under(q)
	for range 5 {
		require.True(t, l.reserve())
	}
	require.True(t, l.Refused(3))
	q.Forgive(0)
	for range 3 {
		require.True(t, other.reserve())
	}
	require.False(t, other.reserve())
	q.Forgive(3)
	require.True(t, other.reserve())
}

// Guards: `call(l.gate.Pressure)` in Load.force, and held in pool.overfill: nobody else
// would look.
func TestAnRPCThatFindsTheLastStartTakenIsHeldAndTold(t *testing.T) {
	told := 0
	l := NewLoad(&Gate{Pressure: func() { told++ }})
	l.Under(NewQuota(1))
	l.SetLimit(0)
	l.gate.Open()
	p := &pool{conns: []conn{{Load: l}}, crowd: l.gate.crowd.Load()}
	_, err := p.overfill()
	require.NoError(t, err)
	require.Equal(t, 1, told)
	_, err = p.overfill()
	require.ErrorIs(t, err, balancer.ErrNoSubConnAvailable)
	require.Equal(t, 1, l.gate.Waiting())
}

// Guards: `!p.hold && !p.spent()` in pool.held: nothing would release it.
func TestAnRPCIsNotHeldForAConnectionThatOnlyLookedSpent(t *testing.T) {
	l := NewLoad(new(Gate))
	l.SetLimit(0)
	l.gate.Open()
	p := &pool{conns: []conn{{Load: l}}, crowd: l.gate.crowd.Load()}
	_, err := p.held()
	require.NoError(t, err)
	require.Zero(t, l.gate.Waiting())
}

// Guards: the loop in Refused.
func TestConnectionsThatOutlivedARestartEndWithTheOthersInTheNext(t *testing.T) {
	for first, name := range []string{"the old", "the new"} {
		earlier, present := NewQuota(0), NewQuota(0)
		gone, old, young := under(earlier), under(earlier), under(present)
		for _, l := range []*Load{gone, old, young} {
			require.True(t, l.reserve())
		}
		require.True(t, gone.Refused(0))
		earlier.Forgive(0)
		require.NotZero(t, earlier.Bound())

		Together(present, earlier)
		require.True(t, []*Load{old, young}[first].Refused(0), name)
		require.Zero(t, earlier.Bound(), name)
		require.Zero(t, present.Bound(), name)
		_, over := present.Over()
		require.True(t, over, "%s: those that are made now have another", name)
	}
}
