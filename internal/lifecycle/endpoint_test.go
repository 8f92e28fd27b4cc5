package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

func TestAllSubchannelsConnectSideBySide(t *testing.T) {
	s := tell(t, "size=6")
	s.want(Connecting, 6)
	s.wantState(StateConnecting)
	s.connect()
	s.want(Ready, 6)
	s.wantState(StateReady)
}

func TestALostConnectionIsMadeAnewAtOnce(t *testing.T) {
	s := tell(t, "size=3")
	s.connect()
	s.pass(time.Minute)
	s.cut()
	s.want(Connecting, 3)
	s.wantState(StateConnecting)
}

// Guards: Endpoint.observeHealth, `case e.down` in State, and `e.has(NotServing)` in
// roundFailed.
func TestASubchannelServesOnlyWhileItsServerDoes(t *testing.T) {
	s := tell(t, "size=2")
	s.all(Connecting, func(sub *Subchannel) { s.up(sub, 0) })
	s.want(Checking, 2)
	s.wantState(StateConnecting, "not known yet")

	one, other := s.subchannels[0], s.subchannels[1]
	s.health(one, HealthNotServing)
	s.settle()
	s.wantState(StateConnecting, "the other may serve")
	s.health(other, HealthNotServing)
	s.settle()
	s.wantState(StateTransientFailure)

	s.health(one, HealthServing)
	s.settle()
	s.want(Ready, 1)
	s.wantState(StateReady)
	s.health(one, HealthNotServing)
	s.settle()
	s.want(Ready, 0)
	s.wantState(StateTransientFailure)
	require.Len(t, s.subchannels, 2, "they stay connected")
}

// Guards: `e.down = false` in observeHealth: an endpoint that served is not down as soon as
// its health is not known.
func TestAServerThatServedIsNotDownWhileItsHealthIsNotKnown(t *testing.T) {
	s := tell(t, "size=1")
	s.up(s.subchannels[0], 0)
	s.health(s.subchannels[0], HealthNotServing)
	s.settle()
	s.wantState(StateTransientFailure)
	s.health(s.subchannels[0], HealthUnknown)
	s.settle()
	s.wantState(StateTransientFailure, "gRFC A62")
	s.health(s.subchannels[0], HealthServing)
	s.settle()
	s.health(s.subchannels[0], HealthUnknown)
	s.settle()
	s.wantState(StateConnecting)
}

// Guards: `if e.removed` in Endpoint.Size.
func TestARemovedEndpointOnlyFinishes(t *testing.T) {
	s := tell(t, "size=3")
	s.rise(s.those(Connecting)[0])
	require.False(t, s.Removed())
	s.SetRemoved(true)
	s.settle()
	require.True(t, s.Removed())
	require.Empty(t, s.subchannels)
	s.wantState(StateIdle)
	s.want(Draining, 1)
	require.False(t, s.did.Ended, "one still drains")
	s.finish()
	s.want(Draining, 0)
	require.True(t, s.did.Ended)
}

// Guards: `ReasonRemoved` in Endpoint.resize, and `!e.removed` in decideSize.
func TestARemovedEndpointSaysNothingOfItsSize(t *testing.T) {
	s := tell(t, "size=3 maxLifetime=1m")
	s.connect()
	s.words()
	s.SetRemoved(true)
	s.pass(time.Hour) // they are due besides
	require.Equal(t, []string{
		"subchannel 1 leaves: endpoint_removed, connected for 0s",
		"subchannel 2 leaves: endpoint_removed, connected for 0s",
		"subchannel 3 leaves: endpoint_removed, connected for 0s",
	}, s.words())
}

// Guards: `n == 0 && e.sizing.active` in Endpoint.Size.
func TestAnEndpointWithMinSize0KeepsOneSubchannelWhileOthersAreUsed(t *testing.T) {
	s := tell(t, "minSize=0 maxSize=4 idleTimeout=16s")
	s.connect()
	s.pass(time.Hour)
	s.pass(time.Hour)
	s.want(Ready, 1)
	require.True(t, s.sizing.active)
	require.False(t, s.Used())
	s.others = false
	s.settle()
	require.False(t, s.sizing.active)
	s.want(Draining, 1)
	s.wantState(StateIdle)
}

// Guards: `observe(1, …)` in Endpoint.Wake.
func TestAnEndpointThatSleepsIsWokenByAnRPC(t *testing.T) {
	s := tell(t, "minSize=0 maxSize=4 idleTimeout=16s")
	s.connect()
	s.others = false
	s.pass(time.Hour)
	s.pass(time.Hour)
	s.want(Connecting, 0)
	s.wantState(StateIdle)
	s.Wake(s.now)
	s.settle()
	s.want(Connecting, 1)
}

// Guards: `case size == 0` in Endpoint.Plan.
func TestAFailureFromBeforeTheSleepSaysNothingWhenItEnds(t *testing.T) {
	s := tell(t, "minSize=0 maxSize=4 idleTimeout=16s")
	s.refuse()
	s.wantState(StateTransientFailure)
	s.others = false
	s.pass(time.Hour)
	s.pass(time.Hour)
	s.wantState(StateIdle)
	s.Wake(s.now)
	s.settle()
	s.want(Connecting, 1)
	s.wantState(StateConnecting)
}

// Guards: the comparison of settings, and `min(size, s.MaxSize)`, in Endpoint.SetSettings.
func TestNewSettingsCloseNothingUntilIdleTimeoutHasPassed(t *testing.T) {
	s := tell(t, "size=4 idleTimeout=16s")
	s.connect()
	s.SetSettings(parseSettings(t, s.settings, "minSize=1"), s.now)
	for range 16 {
		s.pass(time.Second)
		s.want(Ready, 4)
	}
	s.SetSettings(parseSettings(t, s.settings, "drainTimeout=1s"), s.now) // another one
	s.pass(time.Second)
	s.want(Ready, 1)

	s.SetSettings(parseSettings(t, s.settings, "minSize=3"), s.now)
	s.settle()
	s.connect()
	s.SetSettings(parseSettings(t, s.settings, "minSize=1 maxSize=2"), s.now)
	s.settle()
	s.want(Ready, 2) // more than that is not allowed now
}

// Guards: both lists in Endpoint.Subchannels, and its `return`.
func TestSubchannelsAreThoseInServiceAndThenThoseThatDrain(t *testing.T) {
	s := tell(t, "size=2 maxLifetime=1m")
	s.connect()
	s.pass(time.Minute)
	s.connect()
	var ids []ID
	for sub := range s.Subchannels() {
		ids = append(ids, sub.ID())
	}
	require.Equal(t, []ID{2, 3, 4, 1}, ids)
	for sub := range s.Subchannels() {
		require.Equal(t, ID(2), sub.ID())
		break
	}
}

// Guards: the initial streamLimit in New.
func TestANewEndpointKnowsNoLimit(t *testing.T) {
	s := newStory(t, parseSettings(t, config.Config{}, ""), "a:1")
	limit, known := s.AdvertisedLimit()
	require.Equal(t, NoLimit, limit)
	require.False(t, known)
	require.Zero(t, s.Plan(start, 1000).Coming)
}
