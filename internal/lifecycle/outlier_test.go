package lifecycle

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Guards: each bound in evidence.
func TestWhatMakesAConnectionAnOutlier(t *testing.T) {
	for _, tt := range []struct {
		name                               string
		ended, failed, othersEnded, others int
		outlier                            bool
	}{
		{"it fails all, they none", 5, 5, 200, 0, true},
		{"it fails half, they none", 10, 5, 200, 0, true},
		{"it fails most, they one in ten", 30, 28, 200, 20, true},
		{"too few on it", 4, 4, 2000, 0, false},
		{"too few on the others", 100, 100, 9, 0, false},
		{"just enough on the others", 100, 100, 10, 0, true},
		{"it fails as they do", 1000, 200, 7000, 1400, false},
		{"it fails less", 1000, 10, 7000, 1400, false},
		{"all fail", 1000, 1000, 7000, 7000, false},
		{"chance: three of five", 5, 3, 70, 7, false},
		{"surely worse, by little", 100_000, 5_000, 700_000, 7_000, false},
		{"surely worse, not twice as bad", 10_000, 7_000, 70_000, 40_000, false},
		{"twice as bad", 10_000, 7_000, 70_000, 21_000, true},
		{"RPCs that ended before they were counted", 5, 7, 200, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.outlier, evidence(tt.ended, tt.failed, tt.othersEnded, tt.others) > 0)
		})
	}
}

func compared(t *testing.T) *story {
	s := tell(t, "size=4 outlierInterval=8s maxLifetime=1h")
	s.connect()
	s.pass(time.Minute)
	return s
}

// failing lets 20 RPCs end on each connection, on sub with failures, and time pass.
func (s *story) failing(sub *Subchannel, d time.Duration) {
	for o := range s.in(Ready) {
		s.facts[o].Started += 20
	}
	s.facts[sub].Failed += 20
	s.pass(d)
}

// Guards: `e.clock.reached(x.began.Add(every))` in findOutlier, and each e.clock.reached in
// beginInterval, without which no deadline is set.
func TestAnOutlierIsFoundWhenTheIntervalEnds(t *testing.T) {
	s := compared(t)
	bad := s.subchannels[1]
	s.failing(bad, 0)
	s.failing(bad, 8*time.Second-1)
	require.False(t, bad.Suspect())
	require.Equal(t, s.now.Add(1), s.did.Next)
	s.pass(1)
	require.True(t, bad.Suspect())
	s.connect()
	require.Equal(t, []any{Draining, ReasonOutlier}, []any{bad.phase, bad.conn.retiredFor})
	require.Equal(t, ReasonOutlier, s.subchannels[3].openedFor)
}

// Guards: `x.began = (time.Time{})` in findOutlier: a pool that is well sets no deadline.
func TestNothingIsComparedWhileNoRPCFails(t *testing.T) {
	s := compared(t)
	require.True(t, s.suspicion.outliers.began.IsZero())
	s.failing(s.subchannels[1], 0)
	require.False(t, s.suspicion.outliers.began.IsZero())
	s.pass(8 * time.Second)
	require.True(t, s.suspicion.outliers.began.IsZero())
}

// Guards: `every == 0 || e.removed` in findOutlier.
func TestWithoutAnIntervalThereIsNoOutlier(t *testing.T) {
	for name, change := range map[string]func(*story){
		"the setting is off": func(s *story) {
			settings := s.settings
			settings.OutlierInterval = 0
			s.SetSettings(settings, s.now)
		},
		"the endpoint is removed": func(s *story) { s.SetRemoved(true) },
	} {
		t.Run(name, func(t *testing.T) {
			s := compared(t)
			bad := s.subchannels[1]
			s.failing(bad, 0)
			change(s)
			s.failing(bad, time.Minute)
			require.False(t, bad.Suspect())
			require.True(t, s.suspicion.outliers.began.IsZero())
		})
	}
}

// untilReplaced fails all RPCs of sub until it is suspect, and its successor connects.
func (s *story) untilReplaced(sub *Subchannel) (after time.Duration, successor *Subchannel) {
	since := s.now
	for !sub.Suspect() {
		s.failing(sub, time.Second)
		s.must(s.now.Sub(since) < time.Hour, "it is never suspect")
	}
	after = s.now.Sub(since)
	s.connect()
	return after, s.subchannels[3]
}

// Guards: redraws, and `x.looked.Add(every / outlierLooks)` in findOutlier.
func TestThreeSuccessorsAreJudgedSoonerThanTheFirst(t *testing.T) {
	s := compared(t)
	first, bad := s.untilReplaced(s.subchannels[1])
	require.InDelta(t, 9, first.Seconds(), 1)
	begin := s.now
	for range redraws {
		var after time.Duration
		after, bad = s.untilReplaced(bad)
		require.LessOrEqual(t, after, 3*time.Second)
	}
	require.Regexp(t, `siblings \d+ of \d+, the 3 before it were as bad, and is replaced`, fmt.Sprint(s.words()))
	s.untilReplaced(bad)
	require.GreaterOrEqual(t, s.now.Sub(begin), 8*time.Second, "the next suspicion waits for its time")
	require.Equal(t, 16*time.Second, s.suspicion.gap)
}

// Guards: `x.drawn = 0` in judge.
func TestOnlySuccessorsInARowAreCounted(t *testing.T) {
	s := compared(t)
	s.suspicion.outliers.drawn = redraws
	_, successor := s.untilReplaced(s.subchannels[1])
	after, _ := s.untilReplaced(successor)
	require.LessOrEqual(t, after, 3*time.Second)
}

// Guards: `goesOn && failed > 0 && n < outlierVolume` in beginInterval.
func TestAConnectionOfFewRPCsIsCountedOn(t *testing.T) {
	s := compared(t)
	bad := s.subchannels[1]
	for range 8 {
		for o := range s.in(Ready) {
			s.facts[o].Started += 10
		}
		s.facts[bad].Started -= 9
		s.facts[bad].Failed++
		s.pass(4 * time.Second) // two RPCs in an interval
	}
	require.True(t, bad.Suspect())
}

// A start that was taken back after it was counted makes it end fewer than none.
//
// Guards: each max in record.since.
func TestARecordIsNeverLessThanNothing(t *testing.T) {
	ended, failed := record{started: 4, ended: 4, failed: 1}.since(record{started: 5, ended: 5, failed: 2})
	require.Equal(t, []int{0, 0}, []int{ended, failed})
	ended, failed = record{started: 1, ended: 1, failed: 1}.since(record{started: 1<<32 - 1, ended: 1<<32 - 1, failed: 1<<32 - 1})
	require.Equal(t, []int{2, 2}, []int{ended, failed})
}

// One connection carries long streams, which end well. Short RPCs of a method that fails all find
// the other one less loaded.
//
// Guards: `r.started-old.started` in record.since.
func TestStreamsThatEndWellSayNothingOfShortRPCsThatFail(t *testing.T) {
	streams := record{started: 40}
	ended, failed := record{started: 40, ended: 15}.since(streams)
	require.Zero(t, evidence(60, 60, ended, failed))
	require.NotZero(t, evidence(60, 60, 15, 0), "had they started since")
}
