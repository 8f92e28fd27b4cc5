package load

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Guards: `l.freshIn.Load() == opened` in GoAways.add: the others that were fresh may have been ended
// with it, and a transparent retry that meets one of them fails.
func TestAGoAwayOnAFreshConnectionOpensAnotherRetryPeriod(t *testing.T) {
	var g GoAways
	of := func() *Load { return New(nil, &g) }
	of().GoAway(0)
	fresh, sibling, old := of(), of(), of()
	for _, l := range []*Load{fresh, sibling} {
		l.SetFresh(g.Opened())
	}
	old.GoAway(0)
	require.True(t, sibling.Fresh(), "an older one ends: that says nothing of those that are fresh")

	fresh.GoAway(0)
	require.False(t, sibling.Fresh())
	next := of()
	next.SetFresh(g.Opened())
	sibling.GoAway(0)
	require.True(t, next.Fresh(), "it was dialled after both")

	g.Close()
	require.True(t, old.Fresh(), "no period is open")
}
