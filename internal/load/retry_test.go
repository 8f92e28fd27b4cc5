package load

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Guards: `w&drainingBit == 0` in GoAway. No connection is made for a retired one.
func TestAGoAwayOnARetiredConnectionOpensNoWindow(t *testing.T) {
	var from GoAways
	l := New(nil, &from)
	l.Drain()
	l.GoAway(0)
	require.Zero(t, from.Opened())
}

// Guards: `took > 0 && w>>32 > 0` in GoAway: a server may name any stream.
func TestAGoAwayThatTookAnRPCIsProof(t *testing.T) {
	unused := New(nil, nil)
	unused.GoAway(1 << 30)
	require.False(t, unused.Answered())
	refused := New(nil, nil)
	refused.Reserve()
	refused.GoAway(0)
	require.False(t, refused.Answered())
	taken := New(nil, nil)
	taken.Reserve()
	taken.GoAway(1)
	require.True(t, taken.Answered())
}
