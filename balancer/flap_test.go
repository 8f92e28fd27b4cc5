package balancer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/connectivity"
)

func TestAConnectionThatFlapsIsAFailedAttempt(t *testing.T) {
	s := tell(t, `{"size":4}`)
	s.connect()
	s.pass(time.Second - 1)
	s.cut()
	s.want(dialing, 1) // once
	s.connect()
	s.cut()
	s.want(dialing, 0)
	require.Equal(t, connectivity.Connecting, s.state(), "an RPC may try")
	s.pass(1600*time.Millisecond - 1)
	s.want(dialing, 0)
	s.pass(1)
	s.want(dialing, 1)

	s.connect()
	s.want(dialing, 0) // one success proves nothing
	s.pass(time.Second)
	s.want(dialing, 3)
}

func TestTheFlapOfAnotherDoesNotUndoWhatTheProbeProves(t *testing.T) {
	s := tell(t, `{"size":3}`)
	dials := s.in(dialing)
	s.rise(dials[0], s.now)
	s.lost(dials[0], 0, s.now) // the probe
	s.pass(time.Second)
	s.rise(dials[1], s.now)
	s.rise(dials[0], s.now)
	s.settle()
	s.pass(time.Second / 2)
	s.lost(dials[1], 0, s.now)
	s.settle()
	s.pass(time.Second / 2)
	s.want(ready, 1)
	s.want(dialing, 2)
}

// A server that accepts and closes may do so before or after its SETTINGS, in any
// order of sixteen: none must set free those that flapped already.
func TestAFlapBesideARefusalIsRemembered(t *testing.T) {
	s := tell(t, `{"size":3}`)
	dials := s.in(dialing)
	s.rise(dials[0], s.now)
	s.fail(dials[1], 0) // the probe
	s.lost(dials[0], 0, s.now)
	s.settle()
	s.rise(dials[2], s.now)
	s.settle()
	s.want(dialing, 0)
}

// A clock may not move between a success and a flap. NewSubConn fails while a channel
// closes, and the pool would ask for one without end.
//
// Guards: `o.fresh = false` in endpoint.countFailure.
func TestWhatServedBeforeAFlapDoesNotForgiveItAtTheSameInstant(t *testing.T) {
	s := tell(t, `{"size":2}`)
	served, lost := s.slots[0], s.slots[1]
	s.rise(served, s.now)
	served.served = true
	require.True(t, s.lost(lost, 0, s.now))
	s.settle()
	require.Empty(t, s.did.dial)
}

func TestTheBackoffOfFlapsGrows(t *testing.T) {
	s := tell(t, `{"size":1}`)
	s.connect()
	s.cut()
	s.want(dialing, 1) // at once, the first time
	for _, wait := range []time.Duration{1600 * time.Millisecond, 2560 * time.Millisecond} {
		s.connect()
		s.cut()
		s.want(dialing, 0)
		at, ok := s.deadline(s.now)
		require.True(t, ok)
		assert.Equal(t, wait, at.Sub(s.now))
		s.pass(wait)
		s.want(dialing, 1)
	}
}
