package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

const notADuration = `, must be a duration like "90s" or "1h30m", at most "2562047h0m0s"`

var bad = []struct{ name, input, want string }{
	{"nothing", ``, `subpool: settings: unexpected end of JSON input`},
	{"invalid JSON", `{"size":8`, `subpool: settings: unexpected end of JSON input`},
	{"no JSON", `size=8`, `subpool: settings: invalid character 's' looking for beginning of value`},
	{"more than JSON", `{} {}`, `subpool: settings: invalid character '{' after top-level value`},
	{"null", `null`, `subpool: settings: null, must be a JSON object`},
	{"a number", `8`, `subpool: settings: number, must be a JSON object`},
	{"a string", `"size"`, `subpool: settings: string, must be a JSON object`},
	{"an array", `[{"size":8}]`, `subpool: settings: array, must be a JSON object`},
	{"a truth value", `true`, `subpool: settings: bool, must be a JSON object`},

	{"a string for an int", `{"maxSize":"8"}`, `subpool: maxSize: "8", must be a whole number`},
	{"an object for an int", `{"size":{"min":1}}`, `subpool: size: {"min":1}, must be a whole number`},
	{"a fraction", `{"minSize":1.5}`, `subpool: minSize: 1.5, must be a whole number`},
	{"an exponent", `{"size":1e2}`, `subpool: size: 1e2, must be a whole number`},
	{"above 32 bits", `{"targetStreams":2147483648}`,
		`subpool: targetStreams: 2147483648, must be a whole number within ±2147483647`},
	{"above 64 bits", `{"maxPending":9223372036854775808}`,
		`subpool: maxPending: 9223372036854775808, must be a whole number within ±2147483647`},
	{"size above 32 bits", `{"size":4294967297}`,
		`subpool: size: 4294967297, must be a whole number within ±2147483647`},
	{"a string for a float", `{"lifetimeJitter":"0.5"}`, `subpool: lifetimeJitter: "0.5", must be a number`},
	{"a number for a string", `{"picker":1}`, `subpool: picker: 1, must be a string`},
	{"a number for a duration", `{"idleTimeout":240}`,
		`subpool: idleTimeout: 240, must be a duration string like "90s" or "1h30m"`},
	{"an array for a duration", `{"maxLifetime":["1h"]}`,
		`subpool: maxLifetime: ["1h"], must be a duration string like "90s" or "1h30m"`},

	{"a word for a duration", `{"idleTimeout":"never"}`, `subpool: idleTimeout: "never"` + notADuration},
	{"no duration", `{"drainTimeout":""}`, `subpool: drainTimeout: ""` + notADuration},
	{"a duration without unit", `{"maxLifetime":"60"}`, `subpool: maxLifetime: "60"` + notADuration},
	{"a duration in days", `{"resolveInterval":"1d"}`, `subpool: resolveInterval: "1d"` + notADuration},
	{"too long a duration", `{"maxLifetime":"9999999h"}`, `subpool: maxLifetime: "9999999h"` + notADuration},
	{"the longest of proto3", `{"maxLifetime":"315576000000s"}`, `subpool: maxLifetime: "315576000000s"` + notADuration},
	{"negative idleTimeout", `{"idleTimeout":"-1s"}`, `subpool: idleTimeout: "-1s", must not be negative`},
	{"too short an idleTimeout", `{"idleTimeout":"1ns"}`, `subpool: idleTimeout: "1ns", must be 0s or at least 100ms`},
	{"too short a resolveInterval", `{"resolveInterval":"1ms"}`, `subpool: resolveInterval: "1ms", must be 0s or at least 100ms`},
	{"too short a maxLifetime", `{"maxLifetime":"99ms"}`, `subpool: maxLifetime: "99ms", must be 0s or at least 100ms`},
	{"negative maxLifetime", `{"maxLifetime":"-5m"}`, `subpool: maxLifetime: "-5m0s", must not be negative`},
	{"negative drainTimeout", `{"drainTimeout":"-1.5s"}`, `subpool: drainTimeout: "-1.5s", must not be negative`},
	{"negative unresponsiveTimeout", `{"unresponsiveTimeout":"-1ns"}`, `subpool: unresponsiveTimeout: "-1ns", must not be negative`},
	{"negative resolveInterval", `{"resolveInterval":"-1h"}`, `subpool: resolveInterval: "-1h0m0s", must not be negative`},

	{"size 0", `{"size":0}`, `subpool: size: 0, must be 1 to 1024`},
	{"negative size", `{"size":-1}`, `subpool: size: -1, must be 1 to 1024`},
	{"size 1025", `{"size":1025}`, `subpool: size: 1025, must be 1 to 1024`},
	{"size with minSize", `{"size":8,"minSize":8}`, `subpool: size: 8, must not be given together with minSize`},
	{"size with maxSize", `{"maxSize":8,"size":8}`, `subpool: size: 8, must not be given together with maxSize`},
	{"maxSize below minSize", `{"minSize":4,"maxSize":2}`, `subpool: maxSize: 2, must be at least minSize (4)`},
	{"maxSize below minSize's default", `{"maxSize":0}`, `subpool: maxSize: 0, must be 1 to 1024`},
	{"maxSize 1025", `{"maxSize":1025}`, `subpool: maxSize: 1025, must be 1 to 1024`},
	{"minSize 1025", `{"minSize":1025,"maxSize":1024}`, `subpool: minSize: 1025, must be 0 to 1024`},
	{"negative minSize", `{"minSize":-1}`, `subpool: minSize: -1, must be 0 to 1024`},

	{"jitter above 1", `{"lifetimeJitter":1.01}`, `subpool: lifetimeJitter: 1.01, must be 0 to 1`},
	{"negative jitter", `{"lifetimeJitter":-0.1}`, `subpool: lifetimeJitter: -0.1, must be 0 to 1`},
	{"negative maxPending", `{"maxPending":-1}`, `subpool: maxPending: -1, must be 0 to 2147483647`},
	{"targetStreams 0", `{"targetStreams":0}`, `subpool: targetStreams: 0, must be 1 to 2147483647`},
	{"negative targetStreams", `{"targetStreams":-100}`, `subpool: targetStreams: -100, must be 1 to 2147483647`},
	{"empty picker", `{"picker":""}`, `subpool: picker: "", must name a picker`},
}

func TestABadSettingIsNamedWithValueAndBound(t *testing.T) {
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			_, _, _, err := config.Parse([]byte(tt.input))
			require.EqualError(t, err, tt.want)
		})
	}
}

// A caller that drops the error must not find half a Config, with some of the
// settings that were meant.
func TestABadSettingLeavesNoConfig(t *testing.T) {
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			c, given, unknown, err := config.Parse([]byte(tt.input))
			require.Error(t, err)
			assert.Zero(t, c)
			assert.Nil(t, given)
			assert.Nil(t, unknown)
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
			_, _, _, err := config.Parse([]byte(`{"maxSize":"` + tt.value + `"}`))
			require.EqualError(t, err, `subpool: maxSize: "`+tt.want+`, must be a whole number`)
		})
	}
}

func TestATooLargeMinSizeIsNamedAsSuch(t *testing.T) {
	_, _, _, err := config.Parse([]byte(`{"minSize":1025}`))
	require.EqualError(t, err, `subpool: minSize: 1025, must be 0 to 1024`)
}

func TestASizeThatClashesIsCutShortToo(t *testing.T) {
	_, _, _, err := config.Parse([]byte(`{"minSize":1,"size":"` + strings.Repeat("x", 1<<20) + `"}`))
	require.Less(t, len(err.Error()), 200)
}
