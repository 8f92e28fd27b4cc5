package balancer

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
)

// parse returns the warnings that come with settings, of which earlier tests
// gave none.
func parse(t *testing.T, js string) (warnings []string, err error) {
	t.Cleanup(func() { warned.messages = nil })
	warned.messages = nil
	_, err = NewBuilder().(balancer.ConfigParser).ParseConfig([]byte(js))
	return warned.messages, err
}

func TestAnUnknownPickerIsAnErrorThatNamesTheKnown(t *testing.T) {
	_, err := parse(t, `{"picker":"pick_first"}`)
	require.EqualError(t, err, `subpool: picker: "pick_first", must be one of counted, least_in_flight, round_robin`)
}

// A running pool goes on with the settings that it has, so nothing else tells.
func TestABadSettingIsLogged(t *testing.T) {
	warnings, err := parse(t, `{"maxSize":0}`)
	require.Error(t, err)
	require.Equal(t, []string{"maxSize: 0, must be 1 to 1024"}, warnings)
}

func TestAMisspeltSettingIsWarnedOf(t *testing.T) {
	warnings, err := parse(t, `{"maxsize":8}`)
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], `unknown setting "maxsize" is ignored; known are size, minSize, maxSize, `)
}

func TestAWarningIsGivenOnceAndNotWithoutEnd(t *testing.T) {
	t.Cleanup(func() { warned.messages = nil })
	for i := range 1000 {
		warnOnce("unknown %d", i)
		warnOnce("unknown %d", 0)
	}
	require.Len(t, warned.messages, maxWarnings)
	require.Equal(t, fmt.Sprint("unknown ", maxWarnings-1), warned.messages[maxWarnings-1])
}
