package load

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
)

// Guards: `w&drainingBit == 0` in GoAway. No connection is made for a retired one.
func TestAGoAwayOnARetiredConnectionOpensNoWindow(t *testing.T) {
	var from GoAways
	l := New(nil, &from)
	l.Drain()
	l.GoAway(0)
	require.Zero(t, from.Opened())
}

// Guards: `w&inFlightMask == 0` in GoAway.
func TestAGoAwayKnowsWhetherRPCsWereInFlight(t *testing.T) {
	l := New(nil, nil)
	l.Reserve()
	l.GoAway(1<<31 - 1)
	require.False(t, l.GoAwayWasIdle())
	l.Done(balancer.DoneInfo{BytesSent: true})
	l.GoAway(1)
	require.True(t, l.GoAwayWasIdle(), "the last one counts")
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
