package config_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

func unmarshal(js []byte) (c config.Config, err error) {
	err = c.UnmarshalJSON(js)
	return c, err
}

// parse reads settings that must be good.
func parse(t *testing.T, js string) config.Config {
	t.Helper()
	c, err := unmarshal([]byte(js))
	require.NoError(t, err)
	return c
}

// The numbers stand here, not config.Default(): users rely on them.
func TestAnEmptyObjectIsTheDefaults(t *testing.T) {
	require.Equal(t, config.Config{
		MinSize:             1,
		MaxSize:             4,
		TargetStreams:       100,
		Picker:              "least_in_flight",
		IdleTimeout:         4 * time.Minute,
		MaxLifetime:         time.Hour,
		LifetimeJitter:      0.25,
		OutlierInterval:     10 * time.Second,
		DrainTimeout:        0,
		MaxPending:          2147483647,
		UnresponsiveTimeout: 0,
		ResolveInterval:     0,
	}, parse(t, `{}`))
}

func TestDefaultIsWhatAnEmptyObjectMeans(t *testing.T) {
	require.Equal(t, config.Default(), parse(t, `{}`))
}

// given holds each setting once, so that the tests below see all of them.
var given = []struct {
	name, value string
	want        func(*config.Config)
}{
	{"size", `8`, func(c *config.Config) { c.MinSize, c.MaxSize = 8, 8 }},
	{"minSize", `2`, func(c *config.Config) { c.MinSize = 2 }},
	{"maxSize", `7`, func(c *config.Config) { c.MaxSize = 7 }},
	{"targetStreams", `250`, func(c *config.Config) { c.TargetStreams = 250 }},
	{"picker", `"round_robin"`, func(c *config.Config) { c.Picker = "round_robin" }},
	{"idleTimeout", `"30s"`, func(c *config.Config) { c.IdleTimeout = 30 * time.Second }},
	{"maxLifetime", `"10m"`, func(c *config.Config) { c.MaxLifetime = 10 * time.Minute }},
	{"lifetimeJitter", `0.5`, func(c *config.Config) { c.LifetimeJitter = 0.5 }},
	{"drainTimeout", `"1.5s"`, func(c *config.Config) { c.DrainTimeout = 1500 * time.Millisecond }},
	{"maxPending", `0`, func(c *config.Config) { c.MaxPending = 0 }},
	{"unresponsiveTimeout", `"20s"`, func(c *config.Config) { c.UnresponsiveTimeout = 20 * time.Second }},
	{"outlierInterval", `"1m"`, func(c *config.Config) { c.OutlierInterval = time.Minute }},
	{"name", `"reports"`, func(c *config.Config) { c.Name = "reports" }},
	{"resolveInterval", `"1m"`, func(c *config.Config) { c.ResolveInterval = time.Minute }},
}

func TestEachSettingChangesItsFieldAndNoOther(t *testing.T) {
	for _, tt := range given {
		t.Run(tt.name, func(t *testing.T) {
			js := fmt.Sprintf(`{%q: %s}`, tt.name, tt.value)
			require.Equal(t, with(tt.want), parse(t, js))
		})
	}
}

func TestEverySettingIsGivenAbove(t *testing.T) {
	js, err := with(func(c *config.Config) { c.MaxPending, c.Name = 0, "reports" }).MarshalJSON()
	require.NoError(t, err)
	written := map[string]any{"size": nil}
	require.NoError(t, json.Unmarshal(js, &written))
	var names []string
	for _, tt := range given {
		names = append(names, tt.name)
	}
	require.ElementsMatch(t, names, slices.Collect(maps.Keys(written)))
}

// As in proto3 JSON.
func TestNullIsTheDefault(t *testing.T) {
	for _, tt := range given {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, config.Default(), parse(t, fmt.Sprintf(`{%q: null}`, tt.name)))
		})
	}
}

// Null is not given, rather than read as nothing: without the delete of nulls in
// parse size would be there, whatever its value.
func TestANullSizeDoesNotClashWithMinSize(t *testing.T) {
	require.Equal(t, with(func(c *config.Config) { c.MinSize = 2 }), parse(t, `{"size":null,"minSize":2}`))
}

// As encoding/json does with a struct that has values.
//
// Guards: `read = read.withoutSize()` in UnmarshalJSON, and `*c = c.effective()` in set.
func TestSettingsAreReadOntoWhatAConfigHas(t *testing.T) {
	for _, tt := range []struct {
		js   string
		want func(*config.Config)
	}{
		{`{}`, func(c *config.Config) { c.MinSize, c.MaxSize = 3, 3 }},
		{`{"idleTimeout":"1h","maxLifetime":null}`, func(c *config.Config) { c.MinSize, c.MaxSize, c.IdleTimeout = 3, 3, time.Hour }},
		{`{"size":5}`, func(c *config.Config) { c.MinSize, c.MaxSize = 5, 5 }},
		{`{"minSize":2}`, func(c *config.Config) { c.MinSize, c.MaxSize = 2, 3 }},
	} {
		has := func(c *config.Config) { c.Size, c.MaxLifetime = 3, time.Minute }
		c := with(has)
		require.NoError(t, json.Unmarshal([]byte(tt.js), &c), tt.js)
		require.Equal(t, with(func(c *config.Config) { has(c); c.Size = 0; tt.want(c) }), c, tt.js)
	}
	follows := with(func(c *config.Config) { c.MinSize = 7 })
	require.NoError(t, json.Unmarshal([]byte(`{"minSize":2}`), &follows))
	require.Equal(t, with(func(c *config.Config) { c.MinSize = 2 }), follows, "maxSize was never given")
	c := with(func(c *config.Config) { c.Size = 3 })
	require.EqualError(t, json.Unmarshal([]byte(`{"minSize":7}`), &c), "subpool: maxSize: 3, must be at least minSize (7)")
}

func TestFieldsThatAreNotKnownAreTold(t *testing.T) {
	require.Equal(t, []string{"Size", "idleTimeOut", "zone"}, config.Unknown([]byte(`{"zone":{},"size":3,"idleTimeOut":null,"Size":2}`)))
	require.Empty(t, config.Unknown([]byte(`{"size":3,"picker":null}`)))
	require.Empty(t, config.Unknown([]byte(`[]`)))
}

// What is read beside it, too, unlike with an error.
func TestAnUnknownFieldIsIgnored(t *testing.T) {
	var service struct {
		Pool config.Config
		Addr string
	}
	require.NoError(t, json.Unmarshal([]byte(`{"pool":{"maxsize":9,"size":3,"Size":2,"idle_timeout":"x"},"addr":"a"}`), &service))
	require.Equal(t, with(func(c *config.Config) { c.MinSize, c.MaxSize = 3, 3 }), service.Pool)
	require.Equal(t, "a", service.Addr)
}

func TestDurationsAreProto3JSONOrGo(t *testing.T) {
	for _, tt := range []struct {
		text string
		want time.Duration
	}{
		{"0s", 0},
		{"0", 0},
		{"1s", time.Second},
		{"1.5s", 1500 * time.Millisecond},
		{"1.000000001s", time.Second + time.Nanosecond},
		{"1.500000000s", 1500 * time.Millisecond},
		{"3600s", time.Hour},
		{"250ms", 250 * time.Millisecond},
		{"5m", 5 * time.Minute},
		{"1h30m", 90 * time.Minute},
		{"2562047h47m16.854775807s", 1<<63 - 1},
	} {
		t.Run(tt.text, func(t *testing.T) {
			c := parse(t, fmt.Sprintf(`{"idleTimeout":%q}`, tt.text))
			require.Equal(t, tt.want, c.IdleTimeout)
		})
	}
}

// Only size and minSize move maxSize, and only when it was not given.
func TestSizesBoundTheirPool(t *testing.T) {
	for _, tt := range []struct {
		name, settings   string
		minSize, maxSize int
	}{
		{"size is both bounds", `{"size":8}`, 8, 8},
		{"the smallest size", `{"size":1}`, 1, 1},
		{"the largest size", `{"size":1024}`, 1024, 1024},
		{"minSize within the default maxSize", `{"minSize":4}`, 4, 4},
		{"minSize lifts the default maxSize", `{"minSize":9}`, 9, 9},
		{"minSize lifts a maxSize of null", `{"minSize":9,"maxSize":null}`, 9, 9},
		{"minSize 0 alone", `{"minSize":0}`, 0, 4},
		{"maxSize of the default minSize", `{"maxSize":1}`, 1, 1},
		{"both", `{"minSize":3,"maxSize":5}`, 3, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := parse(t, tt.settings)
			require.Equal(t, [2]int{tt.minSize, tt.maxSize}, [2]int{c.MinSize, c.MaxSize})
		})
	}
}
