package config_test

import (
	"encoding/json"
	"math"
	"math/rand"
	"reflect"
	"testing"
	"testing/quick"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

// anyConfig draws a valid Config, its bounds more often than chance would.
func anyConfig(r *rand.Rand) config.Config {
	duration := func() time.Duration {
		most := []int64{1, int64(time.Second), int64(time.Hour), math.MaxInt64}[r.Intn(4)]
		return time.Duration(r.Int63n(most))
	}
	text, _ := quick.Value(reflect.TypeFor[string](), r)
	c := config.Config{
		MaxSize:             1 + r.Intn(config.MaxSubchannels),
		TargetStreams:       1 + r.Intn(math.MaxInt32),
		Picker:              "p" + text.String(), // runes of every kind, quotes and < too
		IdleTimeout:         max(duration(), config.MinInterval) * time.Duration(r.Intn(2)),
		MaxLifetime:         max(duration(), config.MinInterval) * time.Duration(r.Intn(2)),
		LifetimeJitter:      []float64{0, r.Float64(), math.SmallestNonzeroFloat64, 1}[r.Intn(4)],
		DrainTimeout:        duration(),
		MaxPending:          []int{0, r.Intn(math.MaxInt32), config.NoPendingLimit}[r.Intn(3)],
		UnresponsiveTimeout: duration(),
		OutlierInterval:     max(duration(), config.MinInterval) * time.Duration(r.Intn(2)),
		ResolveInterval:     max(duration(), config.MinInterval) * time.Duration(r.Intn(2)),
	}
	c.MinSize = r.Intn(c.MaxSize + 1)
	return c
}

// All ways of writing: by itself, by encoding/json, which compacts and escapes what
// MarshalJSON returned, and as a whole service config.
func TestAWrittenConfigIsReadBackEqual(t *testing.T) {
	for _, tt := range []struct {
		name  string
		write func(config.Config) ([]byte, error)
	}{
		{"MarshalJSON", config.Config.MarshalJSON},
		{"json.Marshal", func(c config.Config) ([]byte, error) { return json.Marshal(c) }},
		{"ServiceConfig", func(c config.Config) ([]byte, error) {
			var service struct {
				LoadBalancingConfig []map[string]json.RawMessage
			}
			err := json.Unmarshal([]byte(c.ServiceConfig()), &service)
			return service.LoadBalancingConfig[0]["subpool"], err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			same := func(c config.Config) bool {
				js, err := tt.write(c)
				require.NoError(t, err)
				back, err := unmarshal(js)
				require.NoError(t, err)
				return back == c
			}
			require.NoError(t, quick.Check(same, &quick.Config{
				MaxCount: 2000,
				Values:   func(v []reflect.Value, r *rand.Rand) { v[0] = reflect.ValueOf(anyConfig(r)) },
			}))
		})
	}
}

// NewClient must say what is wrong with a Config that was made by hand, be it
// such that JSON cannot even hold it.
func TestASettingOutOfItsBoundsIsWrittenAsItIs(t *testing.T) {
	for _, tt := range []struct {
		change func(*config.Config)
		want   string
	}{
		{func(c *config.Config) { *c = config.Config{} }, `subpool: maxSize: 0, must be 1 to 1024; every setting is zero: start from subpool.DefaultConfig`},
		{func(c *config.Config) { c.LifetimeJitter = math.NaN() }, `subpool: lifetimeJitter: "NaN", must be a number`},
		{func(c *config.Config) { c.MaxLifetime = -1 }, `subpool: maxLifetime: "-1ns", must not be negative`},
		{func(c *config.Config) { c.MaxPending = -1 }, `subpool: maxPending: -1, must be 0 to 2147483647`},
	} {
		c := with(tt.change)
		var service struct {
			LoadBalancingConfig []map[string]json.RawMessage
		}
		require.NoError(t, json.Unmarshal([]byte(c.ServiceConfig()), &service))
		_, err := unmarshal(service.LoadBalancingConfig[0]["subpool"])
		require.EqualError(t, err, tt.want)
	}
}

// The order is that of the table in the docs, and each name is there: a reader
// of a logged service config should not have to know the defaults.
func TestTheDefaultsAreWrittenOut(t *testing.T) {
	js, err := json.Marshal(config.Default())
	require.NoError(t, err)
	//nolint:testifylint // the order counts
	require.Equal(t, `{"minSize":1,"maxSize":4,"targetStreams":100,"picker":"least_in_flight",`+
		`"idleTimeout":"4m0s","maxLifetime":"1h0m0s","lifetimeJitter":0.25,"drainTimeout":"0s",`+
		`"unresponsiveTimeout":"0s","outlierInterval":"10s","resolveInterval":"0s"}`, string(js))
}

// "No limit" has no number that a user would know.
func TestAMaxPendingIsWrittenOnlyIfItLimits(t *testing.T) {
	for _, tt := range []struct {
		maxPending int
		want       assert.ValueAssertionFunc
	}{
		{0, assert.NotNil},
		{config.NoPendingLimit - 1, assert.NotNil},
		{config.NoPendingLimit, assert.Nil},
	} {
		js, err := with(func(c *config.Config) { c.MaxPending = tt.maxPending }).MarshalJSON()
		require.NoError(t, err)
		var written map[string]any
		require.NoError(t, json.Unmarshal(js, &written))
		tt.want(t, written["maxPending"], "%d", tt.maxPending)
	}
}

// Settings come from service configs, which a resolver may take from the
// network: whatever they hold, they are refused, or they are good for good.
func FuzzUnmarshalJSON(f *testing.F) {
	for _, tt := range bad {
		f.Add([]byte(tt.input))
	}
	for _, tt := range given {
		f.Add([]byte(`{"` + tt.name + `":` + tt.value + `}`))
		f.Add([]byte(`{"` + tt.name + `": null }`))
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(` {"size":1,"size":2,"Size":3} `))
	f.Add([]byte(`{"minSize":-0,"lifetimeJitter":-0,"idleTimeout":"+.5s","\u0070icker":"\ud800<\u2028"}`))
	f.Fuzz(func(t *testing.T, js []byte) {
		c, err := unmarshal(js)
		if err != nil {
			require.ErrorContains(t, err, "subpool: ")
			return
		}
		require.NoError(t, c.Validate())
		written, err := json.Marshal(c)
		require.NoError(t, err)
		back, err := unmarshal(written)
		require.NoError(t, err)
		require.Equal(t, c, back)
	})
}

func TestSizeStandsForBothBounds(t *testing.T) {
	c := with(func(c *config.Config) { c.Size = 8 })
	require.NoError(t, c.Validate())
	js, err := json.Marshal(c)
	require.NoError(t, err)
	require.Equal(t, with(func(c *config.Config) { c.MinSize, c.MaxSize = 8, 8 }), parse(t, string(js)))
}

// As in JSON, where it is not given.
func TestMaxSizeFollowsMinSizeUnlessItWasSet(t *testing.T) {
	js, err := json.Marshal(with(func(c *config.Config) { c.MinSize = 8 }))
	require.NoError(t, err)
	require.Equal(t, 8, parse(t, string(js)).MaxSize)
	require.Error(t, with(func(c *config.Config) { c.MinSize, c.MaxSize = 8, 5 }).Validate())
}

func TestAServiceConfigHasWhatElseIsGiven(t *testing.T) {
	c := with(func(c *config.Config) { c.Size = 8 })
	all, err := c.ServiceConfigWith(`{"healthCheckConfig":{"serviceName":"x"},"methodConfig":[{"name":[{}],"waitForReady":true}]}`)
	require.NoError(t, err)
	var service struct {
		LoadBalancingConfig []map[string]json.RawMessage
		HealthCheckConfig   struct{ ServiceName string }
		MethodConfig        []struct{ WaitForReady bool }
	}
	require.NoError(t, json.Unmarshal([]byte(all), &service))
	require.Equal(t, 8, parse(t, string(service.LoadBalancingConfig[0]["subpool"])).MinSize)
	require.Equal(t, "x", service.HealthCheckConfig.ServiceName)
	require.True(t, service.MethodConfig[0].WaitForReady)

	for other, want := range map[string]string{
		`{"loadBalancingConfig":[]}`: "subpool: service config: loadBalancingConfig: must not be given, for it is added",
		`null`:                       "subpool: service config: null, must be a JSON object",
	} {
		_, err := c.ServiceConfigWith(other)
		require.EqualError(t, err, want)
	}
	_, err = c.ServiceConfigWith(`[`)
	require.ErrorContains(t, err, "subpool: service config: ")
}
