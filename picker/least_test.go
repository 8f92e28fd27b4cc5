package picker_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/picker"
)

func TestOfTwoConnectionsTheBusierIsNeverPicked(t *testing.T) {
	for _, tt := range []struct{ idle, busy int }{{0, 1}, {1, 2}, {99, 100}, {0, 1000}} {
		t.Run(fmt.Sprintf("%d and %d", tt.idle, tt.busy), func(t *testing.T) {
			p := newPool(2)
			p.hold(t, 0, tt.idle)
			p.hold(t, 1, tt.busy)
			require.Equal(t, map[int]int{0: 1000}, picks(t, p.build(picker.LeastInFlight), 1000))
		})
	}
}

// A long stream should have its connection to itself while other connections are free.
//
// Guards: `n == 1` in leastInFlight.Pick.
func TestAConnectionThatCarriesNothingIsFoundAmongThoseThatCarryOne(t *testing.T) {
	p := newPool(9)
	for conn := range 8 {
		p.hold(t, conn, 1)
	}
	require.Equal(t, map[int]int{8: 1000}, picks(t, p.build(picker.LeastInFlight), 1000))
}

// Guards: `random&(1<<16-1)%found == 0` in leastInFlight.idleAmong: the first behind those
// that carry one would get almost all.
func TestConnectionsThatCarryNothingShareAlike(t *testing.T) {
	p := newPool(8)
	for conn := range 6 {
		p.hold(t, conn, 1)
	}
	count := picks(t, p.build(picker.LeastInFlight), 10_000)
	assert.InDelta(t, 5000, count[6], 500)
	assert.InDelta(t, 5000, count[7], 500)
}

// Whichever two are drawn, one of them is less loaded than the busiest; and the
// one between gets its share, for two are drawn, not all.
func TestOfThreeConnectionsOnlyTheBusiestIsNeverPicked(t *testing.T) {
	p := newPool(3)
	p.hold(t, 0, 1)
	p.hold(t, 1, 2)
	p.hold(t, 2, 3)
	count := picks(t, p.build(picker.LeastInFlight), 1000)
	assert.NotContains(t, count, 2)
	assert.Contains(t, count, 0)
	assert.Contains(t, count, 1) // missing by chance: (2/3)^1000
}

// Held RPCs, unlike finished ones, even out exactly where each pick sees both.
func TestRPCsHeldByTwoConnectionsDifferByOneAtMost(t *testing.T) {
	p := newPool(2)
	built := p.build(picker.LeastInFlight)
	for range 500 {
		pick(t, built)
		require.InDelta(t, p.load(0).InFlight(), p.load(1).InFlight(), 1)
	}
}

// With a bias every new picker would send its RPCs to the same connection, and
// so would all clients of one server.
func TestATieIsRandom(t *testing.T) {
	for _, held := range []int{0, 1} {
		t.Run(fmt.Sprintf("%d in flight", held), func(t *testing.T) {
			p := newPool(2)
			p.hold(t, 0, held)
			p.hold(t, 1, held)
			require.Len(t, picks(t, p.build(picker.LeastInFlight), 100), 2) // else by chance: 2^-99
		})
	}
}

// RPCs that end before the next one starts meet nothing but ties. How many each
// of n connections gets is then binomial, and 10 % are so many standard
// deviations that no row fails by chance more often than once in 10^7 runs:
// 5.8 for 10,000 over 4, 12 for 100,000 over 8. (10,000 over 8 are 3.8 only.)
func TestFinishedRPCsSpreadEvenly(t *testing.T) {
	for _, tt := range []struct{ conns, rpcs int }{
		{1, 10_000}, {2, 10_000}, {3, 10_000}, {4, 10_000},
		{5, 100_000}, {6, 100_000}, {7, 100_000}, {8, 100_000},
	} {
		t.Run(fmt.Sprintf("%d over %d", tt.rpcs, tt.conns), func(t *testing.T) {
			count := picks(t, newPool(tt.conns).build(picker.LeastInFlight), tt.rpcs)
			even := float64(tt.rpcs) / float64(tt.conns)
			for id := range tt.conns {
				require.InEpsilon(t, even, count[id], 0.1)
			}
		})
	}
}

// A subchannel whose RPCs fail at once never has any in flight: by that alone it
// looks like the best one. Here the healthy one answers at once too, so that of
// the RPCs that the other fails only the first of each second may reach it.
// Without l.penalize in load.Load.fail it gets every second one.
func TestASubchannelThatFailsFastDoesNotAttractLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		built := newPool(2).build(picker.LeastInFlight)
		failed := 0
		for range 10 {
			for range 1000 {
				id, done := pick(t, built)
				if id == 0 {
					failed++
					done(unavailable)
				} else {
					done(ended)
				}
			}
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, failed, 10)
	})
}

// Where the healthy one is busy, the failing one looks better only until as many
// of its RPCs have failed. Time stands still: none is forgiven meanwhile.
func TestASubchannelThatFailsFastAttractsNoMoreThanABusyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(2)
		p.hold(t, 1, 50)
		built := p.build(picker.LeastInFlight)
		failed := 0
		for range 1000 {
			id, done := pick(t, built)
			if id == 0 {
				failed++
				done(unavailable)
			}
		}
		require.InDelta(t, p.load(1).InFlight(), failed, 1)
	})
}

func TestASubchannelThatFailedIsTriedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(2)
		p.hold(t, 0, 100)(unavailable)
		built := p.build(picker.LeastInFlight)
		assert.NotContains(t, picks(t, built, 100), 0)
		time.Sleep(7 * time.Second) // 100 halved seven times is none
		assert.Contains(t, picks(t, built, 100), 0)
	})
}

// A penalty must not outweigh that there is nothing else.
func TestASubchannelThatFailsIsPickedIfItIsTheOnlyOne(t *testing.T) {
	p := newPool(2)
	p.hold(t, 0, 1000)(unavailable)
	p.load(1).Drain()
	require.Equal(t, map[int]int{0: 10}, picks(t, p.build(picker.LeastInFlight), 10))
}
