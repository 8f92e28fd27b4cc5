package picker

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
)

// heldPool returns a pool of one full connection, whose picker holds RPCs.
func heldPool(g *Gate) *pool {
	l := NewLoad(g)
	l.SetLimit(1)
	l.reserve()
	g.Open()
	return &pool{conns: []conn{{Load: l}}, hold: true, crowd: g.crowd.Load()}
}

func TestAnRPCWithoutRoomIsHeldAndCounted(t *testing.T) {
	pressed := 0
	g := &Gate{Pressure: func() { pressed++ }}
	p := heldPool(g)
	_, err := p.any(0)
	require.Equal(t, balancer.ErrNoSubConnAvailable, err)
	require.Equal(t, 1, g.Waiting())
	require.Equal(t, 1, pressed)
}

func TestAPlaceThatComesFreeIsTold(t *testing.T) {
	told := 0
	g := &Gate{Room: func() { told++ }}
	p := heldPool(g)
	_, _ = p.any(0)
	p.conns[0].release()
	require.Equal(t, 1, told)
	some, many := g.Freed()
	require.True(t, some)
	require.True(t, many)
}

// The last of a picker's RPCs may find its place only after the next picker was
// made. Counted in common, it would take the place of one that is still held, and
// nobody would hear of the next place.
func TestAnOutdatedPickerDoesNotMixUpTheCounts(t *testing.T) {
	told := 0
	g := &Gate{Room: func() { told++ }}
	old := heldPool(g)
	l := old.conns[0].Load
	g.Pressure = func() { // between counting and the second look
		g.Pressure = nil
		l.release()
		g.Open()
	}
	_, err := old.any(0)
	require.NoError(t, err)
	require.Zero(t, g.Waiting())

	next := &pool{conns: old.conns, hold: true, crowd: g.crowd.Load()}
	_, err = next.any(0)
	require.Equal(t, balancer.ErrNoSubConnAvailable, err)
	require.Equal(t, 1, g.Waiting())
	told = 0
	l.release()
	require.Equal(t, 1, told)
}

func TestWithoutHoldingAFullConnectionTakesMore(t *testing.T) {
	p := heldPool(new(Gate))
	p.hold = false
	_, err := p.any(0)
	require.NoError(t, err)
	require.Equal(t, 2, p.conns[0].InFlight())
}
