package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

// What is no JSON object; docs/configuration.md lists what settings are refused,
// and a test of the root package reads that list.
var bad = []struct{ name, input, want string }{
	{"nothing", ``, `subpool: settings: unexpected end of JSON input`},
	{"invalid JSON", `{"size":8`, `subpool: settings: unexpected end of JSON input`},
	{"no JSON", `size=8`, `subpool: settings: invalid character 's' looking for beginning of value`},
	{"more than JSON", `{} {}`, `subpool: settings: invalid character '{' after top-level value`},
	{"a truth value", `true`, `subpool: settings: bool, must be a JSON object`},
	{"half of it good", `{"targetStreams":7,"maxSize":9,"picker":""}`, `subpool: picker: "", must name a picker`},
}

func TestWhatIsNoObjectIsRefused(t *testing.T) {
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			_, err := unmarshal([]byte(tt.input))
			require.EqualError(t, err, tt.want)
		})
	}
}

// A caller that drops the error must not find half a Config, with some of the
// settings that were meant.
func TestABadSettingLeavesTheConfigAsItWas(t *testing.T) {
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			c := config.Default()
			require.Error(t, c.UnmarshalJSON([]byte(tt.input)))
			assert.Equal(t, config.Default(), c)
		})
	}
}

// A target comes from outside and its error lands in logs: without the cut in
// short it would repeat a megabyte there. A rune across the cut is dropped.
func TestALongBadValueIsCutShort(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"as long as may be", strings.Repeat("x", 62), strings.Repeat("x", 62) + `"`},
		{"a byte longer", strings.Repeat("x", 63), strings.Repeat("x", 63) + "…"},
		{"a megabyte", strings.Repeat("x", 1<<20), strings.Repeat("x", 63) + "…"},
		{"a rune across the cut", strings.Repeat("x", 62) + "éé", strings.Repeat("x", 62) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := unmarshal([]byte(`{"maxSize":"` + tt.value + `"}`))
			require.EqualError(t, err, `subpool: maxSize: "`+tt.want+`, must be a whole number`)
		})
	}
}

func TestASizeThatClashesIsCutShortToo(t *testing.T) {
	_, err := unmarshal([]byte(`{"minSize":1,"size":"` + strings.Repeat("x", 1<<20) + `"}`))
	require.Less(t, len(err.Error()), 200)
}
