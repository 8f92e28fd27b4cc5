package picker

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
)

// Guards: l.undo in Load.notable and Load.force, and in pool.overfill: a pick that
// looks at a connection and goes elsewhere starts no RPC there.
func TestStartsAreRPCsAndNotPicksThatLooked(t *testing.T) {
	l := NewLoad(new(Gate))
	l.SetLimit(1)
	require.True(t, l.reserve())
	for range 5 {
		require.False(t, l.reserve())
	}
	require.EqualValues(t, 1, l.Starts())
	require.Equal(t, 1, l.InFlight())
	l.Drain()
	require.False(t, l.reserve())
	require.False(t, l.force())
	require.EqualValues(t, 1, l.Starts())
	l.done(balancer.DoneInfo{BytesSent: true})
	require.EqualValues(t, 1, l.Starts())
	require.True(t, l.Drained())
}

// Guards: gate.count in pool.overfill.
func TestRPCsThatFindEverythingFullAreCounted(t *testing.T) {
	told := 0
	g := &Gate{Full: func() { told++ }}
	p := heldPool(g)
	p.Hold, p.Bound, p.full = false, 1+2, errUnavailable
	for range 5 {
		_, _ = p.any(0)
	}
	require.Equal(t, 2, told, "of the first that is queued, and of the first that is refused")
	queued, refused := g.TakeFull()
	require.Equal(t, []int{2, 3}, []int{queued, refused})
	_, _ = p.any(0)
	require.Equal(t, 3, told, "of the first since then")
	queued, refused = g.TakeFull()
	require.Equal(t, []int{0, 1}, []int{queued, refused})

	p.conns[0].SetLimit(100)
	_, err := p.any(0)
	require.NoError(t, err)
	queued, refused = g.TakeFull()
	require.Zero(t, queued+refused, "it found a place")
}
