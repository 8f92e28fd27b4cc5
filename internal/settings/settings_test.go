package settings_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/internal/settings"
)

func TestADiffNamesWhatChanges(t *testing.T) {
	old, _, _, err := settings.Parse([]byte(`{}`))
	require.NoError(t, err)
	require.Empty(t, settings.Diff(old, old))
	c, _, _, err := settings.Parse([]byte(`{"size":8,"maxPending":5,"idleTimeout":"90s","targetStreams":2147483647,"picker":"round_robin"}`))
	require.NoError(t, err)
	require.Equal(t, "minSize 1→8, maxSize 4→8, targetStreams 100→2147483647, picker least_in_flight→round_robin, "+
		"idleTimeout 4m0s→1m30s, maxPending none→5", settings.Diff(old, c))
}

// Both lists come out of a map: without slices.Sort(unknown) and
// slices.Sort(given) in Parse a warning would read differently each time.
func TestGivenAndUnknownFieldsAreReturnedInOrder(t *testing.T) {
	js := []byte(`{"zone":1,"targetStreams":5,"Size":2,"maxSize":3,"idle_timeout":"x","picker":null,
		"a":null,"minSize":2,"maxLifetime":"1s","b":{},"c":[],"d":0,"e":0,"drainTimeout":"1s"}`)
	c, given, unknown, err := settings.Parse(js)
	require.NoError(t, err)
	assert.Equal(t, []string{"drainTimeout", "maxLifetime", "maxSize", "minSize", "targetStreams"}, given)
	assert.Equal(t, []string{"Size", "a", "b", "c", "d", "e", "idle_timeout", "zone"}, unknown)
	assert.Equal(t, 3, c.MaxSize, "an unknown Size must not become size")
}

func TestABadSettingLeavesNothing(t *testing.T) {
	c, given, unknown, err := settings.Parse([]byte(`{"size":0,"zone":1}`))
	require.EqualError(t, err, "subpool: size: 0, must be 1 to 1024")
	assert.Zero(t, c)
	assert.Nil(t, given)
	assert.Nil(t, unknown)
}
