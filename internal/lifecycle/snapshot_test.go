package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/inspect"
)

func TestASnapshotShowsWhatIsKnownOfASubchannel(t *testing.T) {
	s := tell(t, "size=2 maxLifetime=1h idleTimeout=32h unresponsiveTimeout=1s")
	require.Equal(t, inspect.Subchannel{ID: 1, State: "connecting", Limit: -1}, s.Snapshot().Subchannels[0], "nothing of a connection")
	s.connect()
	sub, begun := s.subchannels[0], s.now
	s.facts[sub].Started, s.facts[sub].Limit = 7, 100
	s.now = s.now.Add(time.Minute)
	require.True(t, s.ignored(sub))
	s.settle()
	used, end := begun.Add(time.Minute), begun.Add(time.Hour)
	want := inspect.Subchannel{
		ID: 1, State: "ready", Address: "a:1", Connected: &begun, LastUse: &used, EndOfLife: &end, Started: 7, Limit: 100, Suspect: true,
	}
	require.Equal(t, want, s.Snapshot().Subchannels[0])
	require.Equal(t, inspect.Subchannel{ID: 3, State: "connecting", Limit: -1, Replaces: "unresponsive"}, s.Snapshot().Subchannels[2])

	s.facts[sub].InFlight = 1
	s.settle()
	s.connect()
	gone := s.Snapshot().Subchannels[0]
	require.Equal(t, []string{"draining", "unresponsive"}, []string{gone.State, gone.Retired})
	require.Nil(t, gone.EndOfLife)

	s.SetSettings(parseSettings(t, s.settings, "maxLifetime=0s idleTimeout=0s"), s.now)
	serves := s.Snapshot().Subchannels[1]
	require.Nil(t, serves.EndOfLife)
	require.Nil(t, serves.LastUse, "it is not sampled")
}

func TestASnapshotShowsWhatIsKnownOfAnEndpoint(t *testing.T) {
	s := tell(t, "size=4 maxLifetime=1h idleTimeout=32h")
	s.facts = map[*Subchannel]*Facts{}
	for _, sub := range s.subchannels[:3] {
		s.rise(sub)
	}
	s.facts[s.subchannels[0]].InFlight = 5
	s.settle()
	s.facts[s.subchannels[0]].InFlight = 3
	s.fail(s.subchannels[3])
	s.settle()
	shown := s.Snapshot()
	require.Len(t, shown.Subchannels, 4)
	shown.Subchannels = nil
	require.Equal(t, inspect.Endpoint{
		Addresses: []string{"a:1"}, State: "READY", MinSize: 4, MaxSize: 4, Wanted: 4, Demand: 3, Peak: 5, Limit: -1,
		Budget: inspect.Budget{Connections: 3, MostConnections: 5},
	}, shown)
	require.Equal(t, 1, s.Failures())

	s.BackoffOver(s.subchannels[3], 0)
	s.settle()
	s.connect()
	s.facts[s.subchannels[0]].InFlight = 1
	s.pass(time.Hour)
	s.connect()
	require.Equal(t, inspect.Budget{Connections: 6, MostConnections: 6, Draining: 1}, s.Snapshot().Budget, "size, budget, and one that drains")
	require.Zero(t, s.Failures())
}
