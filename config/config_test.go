package config_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

// with returns the defaults with one change.
func with(change func(*config.Config)) config.Config {
	c := config.Default()
	change(&c)
	return c
}

// outOfBounds are Configs made by hand, with what Validate says of each. Some
// cannot come from JSON, which has no NaN and for which size has its own check.
var outOfBounds = []struct {
	name   string
	config config.Config
	want   string
}{
	{"the zero Config", config.Config{},
		`subpool: maxSize: 0, must be 1 to 1024; every setting is zero: start from subpool.DefaultConfig`},
	{"negative maxSize", with(func(c *config.Config) { c.MaxSize = -1 }),
		`subpool: maxSize: -1, must be 1 to 1024`},
	{"maxSize above the most", with(func(c *config.Config) { c.MaxSize = 1025 }),
		`subpool: maxSize: 1025, must be 1 to 1024`},
	{"negative minSize", with(func(c *config.Config) { c.MinSize = -1 }),
		`subpool: minSize: -1, must be 0 to 1024`},
	{"minSize above the most", with(func(c *config.Config) { c.MinSize = 1025 }),
		`subpool: minSize: 1025, must be 0 to 1024`},
	{"minSize above maxSize", with(func(c *config.Config) { c.MinSize, c.MaxSize = 5, 3 }),
		`subpool: maxSize: 3, must be at least minSize (5)`},
	{"no targetStreams", with(func(c *config.Config) { c.TargetStreams = 0 }),
		`subpool: targetStreams: 0, must be 1 to 2147483647`},
	{"no picker", with(func(c *config.Config) { c.Picker = "" }),
		`subpool: picker: "", must name a picker`},
	{"negative jitter", with(func(c *config.Config) { c.LifetimeJitter = -0.5 }),
		`subpool: lifetimeJitter: -0.5, must be 0 to 1`},
	{"jitter above 1", with(func(c *config.Config) { c.LifetimeJitter = 1.5 }),
		`subpool: lifetimeJitter: 1.5, must be 0 to 1`},
	{"jitter that is no number", with(func(c *config.Config) { c.LifetimeJitter = math.NaN() }),
		`subpool: lifetimeJitter: NaN, must be 0 to 1`},
	{"infinite jitter", with(func(c *config.Config) { c.LifetimeJitter = math.Inf(1) }),
		`subpool: lifetimeJitter: +Inf, must be 0 to 1`},
	{"negative maxPending", with(func(c *config.Config) { c.MaxPending = -1 }),
		`subpool: maxPending: -1, must be 0 to 2147483647`},
	{"negative idleTimeout", with(func(c *config.Config) { c.IdleTimeout = -time.Second }),
		`subpool: idleTimeout: "-1s", must not be negative`},
	{"negative maxLifetime", with(func(c *config.Config) { c.MaxLifetime = -time.Hour }),
		`subpool: maxLifetime: "-1h0m0s", must not be negative`},
	{"negative drainTimeout", with(func(c *config.Config) { c.DrainTimeout = -1 }),
		`subpool: drainTimeout: "-1ns", must not be negative`},
	{"negative unresponsiveTimeout", with(func(c *config.Config) { c.UnresponsiveTimeout = -1 }),
		`subpool: unresponsiveTimeout: "-1ns", must not be negative`},
	{"outlierInterval below its bound", with(func(c *config.Config) { c.OutlierInterval = 99 * time.Millisecond }),
		`subpool: outlierInterval: "99ms", must be 0s or at least 100ms`},
	{"negative resolveInterval", with(func(c *config.Config) { c.ResolveInterval = -1 }),
		`subpool: resolveInterval: "-1ns", must not be negative`},
}

func TestASettingOutOfItsBoundsIsNamedWithValueAndBound(t *testing.T) {
	for _, tt := range outOfBounds {
		t.Run(tt.name, func(t *testing.T) {
			require.EqualError(t, tt.config.Validate(), tt.want)
		})
	}
}

// A Config made by hand meets its first check when it is written: what is
// written must be what a channel will take.
func TestAConfigOutOfItsBoundsIsNotWritten(t *testing.T) {
	for _, tt := range outOfBounds {
		t.Run(tt.name, func(t *testing.T) {
			js, err := tt.config.MarshalJSON()
			require.EqualError(t, err, tt.want)
			assert.Nil(t, js)
		})
	}
}

// What a program embeds in a service config goes through encoding/json, which
// must find the method on a plain value too and keep the message.
func TestAConfigOutOfItsBoundsFailsTheWholeServiceConfig(t *testing.T) {
	_, err := json.Marshal(map[string]any{"subpool": config.Config{}})
	require.ErrorContains(t, err, "subpool: maxSize: 0, must be 1 to 1024; every setting is zero: start from subpool.DefaultConfig")
}

func TestTheBoundsThemselvesAreAllowed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config config.Config
	}{
		{"the defaults", config.Default()},
		{"a pool that goes idle", with(func(c *config.Config) { c.MinSize = 0 })},
		{"one subchannel", with(func(c *config.Config) { c.MinSize, c.MaxSize = 1, 1 })},
		{"the most subchannels", with(func(c *config.Config) { c.MinSize, c.MaxSize = 1024, 1024 })},
		{"one stream each", with(func(c *config.Config) { c.TargetStreams = 1 })},
		{"the most streams", with(func(c *config.Config) { c.TargetStreams = math.MaxInt32 })},
		{"no jitter", with(func(c *config.Config) { c.LifetimeJitter = 0 })},
		{"full jitter", with(func(c *config.Config) { c.LifetimeJitter = 1 })},
		{"nothing may wait", with(func(c *config.Config) { c.MaxPending = 0 })},
		{"everything may wait", with(func(c *config.Config) { c.MaxPending = config.NoPendingLimit })},
		{"every timeout off", with(func(c *config.Config) { c.IdleTimeout, c.MaxLifetime = 0, 0 })},
		{"the longest duration", with(func(c *config.Config) { c.ResolveInterval = math.MaxInt64 })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, tt.config.Validate())
		})
	}
}

// Guards: `if c.Size != 0` in withoutSize.
func TestASizeBelowZeroIsWrittenToBeRefused(t *testing.T) {
	for _, size := range []int{-1, config.MaxSubchannels + 1} {
		c := with(func(c *config.Config) { c.Size = size })
		require.ErrorContains(t, c.Validate(), fmt.Sprintf("subpool: size: %d, must be 0 to 1024", size))
		require.Contains(t, c.ServiceConfig(), fmt.Sprintf(`"minSize":%d,"maxSize":%[1]d`, size))
	}
}
