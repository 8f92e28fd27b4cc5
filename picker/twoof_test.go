package picker

import (
	"fmt"
	"math"
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/require"
)

func TestTwoOfDrawsByItsRandomNumber(t *testing.T) {
	const half = 1 << 31 // of the 32 bits that each index is drawn from
	const low, high = math.MaxUint32, math.MaxUint32 << 32
	for _, tt := range []struct {
		name      string
		n, random uint64
		i, j      uint64
	}{
		{"2, the least", 2, 0, 0, 1},
		{"2, the most", 2, low | high, 1, 0},
		{"2, below the half", 2, half - 1, 0, 1},
		{"2, the half", 2, half, 1, 0},
		{"3, the next one", 3, 0, 0, 1},
		{"3, the one after", 3, high, 0, 2},
		{"3, round the end", 3, low, 2, 0},
		{"3, the one before, round the end", 3, low | high, 2, 1},
		{"1024, the least", 1024, 0, 0, 1},
		{"1024, the most", 1024, low | high, 1023, 1022},
		{"the most connections, the least", 1 << 31, 0, 0, 1},
		{"the most connections, the most", 1 << 31, low | high, 1<<31 - 1, 1<<31 - 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i, j := twoOf(tt.n, tt.random)
			require.Equal(t, [2]uint64{tt.i, tt.j}, [2]uint64{i, j})
		})
	}
}

// Without the j -= n an index would leave the slice; with n instead of n-1 the
// second would meet the first.
func TestTwoOfDrawsTwoDifferentIndexesInRange(t *testing.T) {
	for _, tt := range []struct {
		name string
		most uint32
	}{{"few", 8}, {"as many as a pool may have", 1024}, {"as many as there may be", 1 << 31}} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, quick.Check(func(some uint32, random uint64) bool {
				n := 2 + uint64(some%(tt.most-1))
				i, j := twoOf(n, random)
				return i < n && j < n && i != j
			}, &quick.Config{MaxCount: 100_000}))
		})
	}
}

// The random number is taken from the middles of a grid of 60 × 60 squares, and
// 60 is a multiple of 1 to 6: each pair must get the same number of squares.
func TestTwoOfDrawsEveryPairAsOften(t *testing.T) {
	const grid = 60
	middle := func(k uint64) uint64 { return (2*k + 1) << 32 / (2 * grid) }
	for n := uint64(2); n <= 6; n++ {
		t.Run(fmt.Sprintf("of %d", n), func(t *testing.T) {
			count := make(map[[2]uint64]int)
			for low := range uint64(grid) {
				for high := range uint64(grid) {
					i, j := twoOf(n, middle(high)<<32|middle(low))
					count[[2]uint64{i, j}]++
				}
			}
			pairs := int(n * (n - 1))
			require.Len(t, count, pairs)
			for pair, c := range count {
				require.Equal(t, grid*grid/pairs, c, "pair %v", pair)
			}
		})
	}
}
