package picker_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"

	"github.com/grpc-subpool/subpool/picker"
)

// turns makes RPCs, one after the other, and returns the connections that got them.
func turns(t *testing.T, p balancer.Picker, rpcs int) (ids []int) {
	for range rpcs {
		id, done := pick(t, p)
		done(ended)
		ids = append(ids, id)
	}
	return ids
}

// The counter starts anywhere and wraps at 2³², which 3, 5, 6 and 7 do not
// divide: that the few picks here meet that has a chance of 2^-24.
func TestRoundRobinIsExact(t *testing.T) {
	for n := 1; n <= 7; n++ {
		t.Run(fmt.Sprintf("%d connections", n), func(t *testing.T) {
			count := picks(t, newPool(n).build(picker.RoundRobin), 10*n)
			for id := range n {
				require.Equal(t, 10, count[id], "connection %d", id)
			}
		})
	}
}

// 4 divides 2³², where the counter wraps.
func TestRoundRobinIsExactWhenManyPickAtOnce(t *testing.T) {
	const n, callers, each = 4, 8, 500
	p := newPool(n)
	built := p.build(picker.RoundRobin)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				_, _ = built.Pick(anRPC())
			}
		})
	}
	wg.Wait()
	for i := range n {
		require.Equal(t, callers*each/n, p.load(i).InFlight(), "connection %d", i)
	}
}

func TestRoundRobinGoesInTheOrderGiven(t *testing.T) {
	p := newPool(0)
	order := []int{3, 0, 4, 1, 2}
	for _, id := range order {
		p.add(id)
	}
	ids := turns(t, p.build(picker.RoundRobin), 11)
	first := slices.Index(order, ids[0])
	for i, id := range ids {
		require.Equal(t, order[(first+i)%len(order)], id, "in %v", ids)
	}
}

// A policy that changes its set often would load the first connection most, if
// each new picker began there: without r.next.Store in newRoundRobin.
func TestRoundRobinStartsAnywhere(t *testing.T) {
	p := newPool(2)
	first := make(map[int]bool)
	for range 100 {
		id, _ := pick(t, p.build(picker.RoundRobin))
		first[id] = true
	}
	require.Len(t, first, 2) // else by chance: 2^-99
}

// Only the turn of the one that drains is taken over, by the one after it.
func TestRoundRobinGivesTheTurnOfADrainingConnectionToTheNext(t *testing.T) {
	p := newPool(4)
	built := p.build(picker.RoundRobin)
	p.load(1).Drain()
	require.Equal(t, map[int]int{0: 10, 2: 20, 3: 10}, picks(t, built, 40))
}

// Load is nothing to round_robin.
func TestRoundRobinPicksBusyConnectionsToo(t *testing.T) {
	p := newPool(2)
	p.hold(t, 0, 100)
	require.Equal(t, map[int]int{0: 10, 1: 10}, picks(t, p.build(picker.RoundRobin), 20))
}
