package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// size is not a field of Config: it sets both bounds.
const sizeName = "size"

// A field reads one setting from JSON and writes it back.
type field struct {
	name  string
	read  func(*Config, json.RawMessage) error
	write func(*Config) any
}

// fields lists every setting but size, in the order in which they are written.
var fields = []field{
	intField("minSize", func(c *Config) *int { return &c.MinSize }),
	intField("maxSize", func(c *Config) *int { return &c.MaxSize }),
	intField("targetStreams", func(c *Config) *int { return &c.TargetStreams }),
	stringField("picker", func(c *Config) *string { return &c.Picker }),
	durationField("idleTimeout", func(c *Config) *time.Duration { return &c.IdleTimeout }),
	durationField("maxLifetime", func(c *Config) *time.Duration { return &c.MaxLifetime }),
	floatField("lifetimeJitter", func(c *Config) *float64 { return &c.LifetimeJitter }),
	durationField("drainTimeout", func(c *Config) *time.Duration { return &c.DrainTimeout }),
	intField("maxPending", func(c *Config) *int { return &c.MaxPending }),
	durationField("unresponsiveTimeout", func(c *Config) *time.Duration { return &c.UnresponsiveTimeout }),
	durationField("resolveInterval", func(c *Config) *time.Duration { return &c.ResolveInterval }),
}

// Names returns the names of all settings.
func Names() []string {
	names := []string{sizeName}
	for _, f := range fields {
		names = append(names, f.name)
	}
	return names
}

// Parse reads settings from a JSON object, fills in defaults and checks every
// bound. An error names the field, the value and the bound. Fields that it does
// not know are ignored, as gRPC asks of a policy, and returned, as they are
// most likely misspelt; so are the names of the fields that were given.
func Parse(js []byte) (c Config, given, unknown []string, err error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(js, &raw); err != nil {
		return Config{}, nil, nil, fmt.Errorf("subpool: settings: %w", plainJSONError(err))
	}
	if raw == nil {
		return Config{}, nil, nil, errors.New("subpool: settings: null, must be a JSON object")
	}
	for name, value := range raw {
		switch {
		case !slices.Contains(Names(), name):
			unknown = append(unknown, name)
		case bytes.Equal(value, []byte("null")): // null is the default, as in proto3 JSON
			delete(raw, name)
		default:
			given = append(given, name)
		}
	}
	slices.Sort(given)
	slices.Sort(unknown)

	c = Default()
	if err := readSizes(&c, raw); err != nil {
		return Config{}, nil, nil, err
	}
	for _, f := range fields {
		if value, ok := raw[f.name]; ok {
			if err := f.read(&c, value); err != nil {
				return Config{}, nil, nil, err
			}
		}
	}
	if _, ok := raw["maxSize"]; !ok {
		c.MaxSize = max(c.MaxSize, c.MinSize)
	}
	if err := c.Validate(); err != nil {
		return Config{}, nil, nil, err
	}
	return c, given, unknown, nil
}

// readSizes handles size, which stands for minSize and maxSize at once.
func readSizes(c *Config, raw map[string]json.RawMessage) error {
	value, ok := raw[sizeName]
	if !ok {
		return nil
	}
	for _, other := range []string{"minSize", "maxSize"} {
		if _, ok := raw[other]; ok {
			return fieldError(sizeName, short(value), "must not be given together with %s", other)
		}
	}
	n, err := parseInt(sizeName, value)
	if err != nil {
		return err
	}
	if n < 1 || n > MaxSubchannels {
		return fieldError(sizeName, n, "must be 1 to %d", MaxSubchannels)
	}
	c.MinSize, c.MaxSize = n, n
	return nil
}

// MarshalJSON writes every setting, such that [Parse] reads it back to an equal
// Config. A MaxPending without limit is left out.
func (c Config) MarshalJSON() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.write(), nil
}

// UnmarshalJSON is [Parse].
func (c *Config) UnmarshalJSON(js []byte) (err error) {
	*c, _, _, err = Parse(js)
	return err
}

// ServiceConfig returns a service config that names the policy with these
// settings, for grpc.WithDefaultServiceConfig. Settings out of their bounds are
// written as they are: grpc.NewClient then fails, and says which.
func (c Config) ServiceConfig() string {
	return fmt.Sprintf(`{"loadBalancingConfig":[{%q:%s}]}`, Name, c.write())
}

func (c Config) write() []byte {
	var buf bytes.Buffer
	for _, f := range fields {
		if f.name == "maxPending" && c.MaxPending == NoPendingLimit {
			continue
		}
		value, err := json.Marshal(f.write(&c))
		if err != nil { // NaN and infinity are no JSON
			value = strconv.AppendQuote(nil, fmt.Sprint(f.write(&c)))
		}
		fmt.Fprintf(&buf, ",%q:%s", f.name, value)
	}
	return append(append([]byte{'{'}, buf.Bytes()[1:]...), '}')
}

func intField(name string, at func(*Config) *int) field {
	return field{name,
		func(c *Config, value json.RawMessage) (err error) {
			*at(c), err = parseInt(name, value)
			return err
		},
		func(c *Config) any { return *at(c) },
	}
}

func parseInt(name string, value json.RawMessage) (int, error) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && (n > math.MaxInt32 || n < -math.MaxInt32) {
		return 0, fieldError(name, short(value), "must be a whole number within ±%d", math.MaxInt32)
	}
	if err != nil {
		return 0, fieldError(name, short(value), "must be a whole number")
	}
	return int(n), nil
}

func floatField(name string, at func(*Config) *float64) field {
	return field{name,
		func(c *Config, value json.RawMessage) error {
			if err := json.Unmarshal(value, at(c)); err != nil {
				return fieldError(name, short(value), "must be a number")
			}
			return nil
		},
		func(c *Config) any { return *at(c) },
	}
}

func stringField(name string, at func(*Config) *string) field {
	return field{name,
		func(c *Config, value json.RawMessage) error {
			if err := json.Unmarshal(value, at(c)); err != nil {
				return fieldError(name, short(value), "must be a string")
			}
			return nil
		},
		func(c *Config) any { return *at(c) },
	}
}

// durationField takes proto3 JSON ("1.5s") and Go's own form ("1h30m"), of
// which the former is a part.
func durationField(name string, at func(*Config) *time.Duration) field {
	return field{name,
		func(c *Config, value json.RawMessage) error {
			var s string
			if err := json.Unmarshal(value, &s); err != nil {
				return fieldError(name, short(value), `must be a duration string like "90s" or "1h30m"`)
			}
			d, err := time.ParseDuration(s)
			if err != nil {
				return fieldError(name, short(value), `must be a duration like "90s" or "1h30m", at most %q`, time.Duration(math.MaxInt64).Truncate(time.Hour))
			}
			*at(c) = d
			return nil
		},
		func(c *Config) any { return at(c).String() },
	}
}

// short bounds what an error repeats of a bad value.
func short(value []byte) string {
	const most = 64
	end := ""
	if len(value) > most {
		value, end = value[:most], "…"
	}
	return strings.ToValidUTF8(string(value), "") + end
}

// plainJSONError says in JSON's terms what the decoder says in Go's.
func plainJSONError(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return fmt.Errorf("%s, must be a JSON object", wrongType.Value)
	}
	return err
}
