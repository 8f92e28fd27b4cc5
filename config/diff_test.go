package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

func TestADiffNamesWhatChanges(t *testing.T) {
	old, _, _, err := config.Parse([]byte(`{}`))
	require.NoError(t, err)
	require.Empty(t, old.Diff(old))
	c, _, _, err := config.Parse([]byte(`{"size":8,"maxPending":5,"idleTimeout":"90s","targetStreams":2147483647,"picker":"round_robin"}`))
	require.NoError(t, err)
	require.Equal(t, "minSize 1→8, maxSize 4→8, targetStreams 100→2147483647, picker least_in_flight→round_robin, "+
		"idleTimeout 4m0s→1m30s, maxPending none→5", c.Diff(old))
}

func TestAConfigIsReadBackAsItWasWritten(t *testing.T) {
	want := config.Default()
	want.MinSize, want.MaxSize, want.MaxPending = 2, 9, 0
	js, err := want.MarshalJSON()
	require.NoError(t, err)
	var c config.Config
	require.NoError(t, c.UnmarshalJSON(js))
	require.Equal(t, want, c)
	require.ErrorContains(t, c.UnmarshalJSON([]byte(`{"size":0}`)), "must be 1 to 1024")
}
