package balancer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lanesOf returns the lanes that a story's only plan of late began.
func lanesOf(s *story) (lanes []int) {
	for _, d := range s.did.dial {
		lanes = append(lanes, d.lane)
	}
	return lanes
}

// race tells the story of one slot and three addresses.
func tellRace(t *testing.T) (*story, *slot) {
	s := tell(t, `{"size":1}`)
	s.addresses = 3
	s.slots = nil
	s.settle()
	require.Equal(t, []int{0}, lanesOf(s))
	return s, s.slots[0]
}

func TestAnAddressHasAHeadStart(t *testing.T) {
	s, sl := tellRace(t)
	s.pass(headStart - 1)
	require.Empty(t, lanesOf(s))
	s.pass(1)
	require.Equal(t, []int{1}, lanesOf(s))
	at, ok := s.deadline(s.now)
	require.True(t, ok)
	require.Equal(t, headStart, at.Sub(s.now))
	s.pass(headStart)
	require.Equal(t, []int{2}, lanesOf(s))
	s.pass(time.Minute)
	require.Empty(t, lanesOf(s))
	require.Equal(t, dialing, sl.phase)
}

func TestTheNextAddressStartsAtOnceWhenOneFails(t *testing.T) {
	s, sl := tellRace(t)
	s.fail(sl, 0)
	s.settle()
	require.Equal(t, []int{1}, lanesOf(s))
	require.Zero(t, s.failures, "the attempt goes on")
}

func TestAnAttemptFailsWithItsLastAddress(t *testing.T) {
	s, sl := tellRace(t)
	for lane := range 3 {
		require.Equal(t, dialing, sl.phase)
		s.fail(sl, lane)
		s.settle()
	}
	require.Equal(t, resting, sl.phase)
	require.Equal(t, 1, s.failures)

	s.rest(sl, 2)
	s.rest(sl, 0)
	s.settle()
	require.Equal(t, resting, sl.phase, "an address that rests cannot dial")
	s.rest(sl, 1)
	s.settle()
	require.Equal(t, []int{0}, lanesOf(s), "all over again")
}

func TestTheFirstAddressToConnectWins(t *testing.T) {
	s, sl := tellRace(t)
	s.pass(headStart)
	s.rise(sl, s.now)
	s.settle()
	require.Equal(t, ready, sl.phase)
	s.lost(sl, 1, s.now) // a loser that is shut down
	require.Equal(t, ready, sl.phase)
}
