// Package config holds the settings of the subpool policy: their names, defaults and
// bounds, and how they are written as JSON.
package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds and fixed values of the settings.
const (
	// MaxSubchannels is the largest allowed size, per endpoint.
	MaxSubchannels = 1024
	// MaxName is the longest Name, in bytes.
	MaxName = 64
	// MinInterval is the smallest IdleTimeout, MaxLifetime, OutlierInterval and ResolveInterval
	// other than 0: below it a pool would do nothing but connect or resolve.
	MinInterval = 100 * time.Millisecond
	// NoPendingLimit is the MaxPending that stands for "no limit".
	NoPendingLimit = math.MaxInt32
)

// Config is the settings of one pool. Sizes count subchannels per endpoint. In
// a Config made by hand zero is zero: start from [Default].
type Config struct { //nolint:recvcheck // UnmarshalJSON writes; all else is called of values
	// Size, if it is not 0, stands for MinSize and MaxSize, whatever they are; 1 to
	// [MaxSubchannels]. Settings that were read from JSON have it in these two.
	Size int `json:"-"`
	// MinSize is the number of subchannels always kept open, 0 to MaxSize;
	// 1 by default. With 0 the pool is idle when it is not used.
	MinSize int `json:"minSize"`
	// MaxSize is the upper bound, 1 to [MaxSubchannels]; 4 by default, and where it
	// is 4 no less than MinSize.
	MaxSize int `json:"maxSize"`
	// TargetStreams is the number of RPCs in flight that one subchannel should
	// carry before another is opened, at least 1; 100 by default. It is a
	// target for growing and shrinking, not a limit.
	TargetStreams int `json:"targetStreams"`
	// Picker names how RPCs are spread: least_in_flight (the default),
	// round_robin, or a name given to picker.Register.
	Picker string `json:"picker"`
	// IdleTimeout is how long a connection may be silent before it is replaced
	// or, above MinSize, closed, at least [MinInterval]; 240 s by default, 0 is off.
	IdleTimeout time.Duration `json:"idleTimeout"`
	// MaxLifetime is the age at which a connection is replaced, at least
	// [MinInterval]; one hour by default, 0 is off.
	MaxLifetime time.Duration `json:"maxLifetime"`
	// LifetimeJitter shortens each life by a random part of it, 0 to 1; 0.25
	// by default. A life is MaxLifetime × (1 − LifetimeJitter × u), where u is
	// drawn once per connection from 0 to 1, or up to a 512th of MaxLifetime less.
	LifetimeJitter float64 `json:"lifetimeJitter"`
	// DrainTimeout is how long a retired connection may keep its RPCs before
	// it is closed by force; 0, the default, is for ever.
	DrainTimeout time.Duration `json:"drainTimeout"`
	// MaxPending is how many RPCs of the channel may wait for a stream when no
	// subchannel has room and none can be added; beyond it they end
	// RESOURCE_EXHAUSTED. 0 never waits; [NoPendingLimit] is the default.
	MaxPending int `json:"maxPending"`
	// UnresponsiveTimeout is how long a connection may swallow RPCs without a
	// byte in return before it is replaced; 0, the default, is off.
	UnresponsiveTimeout time.Duration `json:"unresponsiveTimeout"`
	// OutlierInterval is how long RPCs are counted before a connection that
	// fails far more of them than its siblings is replaced, at least
	// [MinInterval]; 10 s by default, as in outlier detection (gRFC A50), 0 is off.
	// It compares the connections of one address, as that compares addresses.
	OutlierInterval time.Duration `json:"outlierInterval"`
	// ResolveInterval is how often the resolver is asked for new endpoints,
	// failure or not, at least [MinInterval]; 0, the default, is off.
	ResolveInterval time.Duration `json:"resolveInterval"`
	// Name is what the pool is called in logs, on the page and in snapshots, beside
	// its target: by it two channels to one target can be told apart. At most
	// [MaxName] bytes of printable text; empty by default.
	Name string `json:"name"`
}

// Default returns the settings of an empty JSON object.
func Default() Config {
	return Config{
		MinSize:        1,
		MaxSize:        4,
		TargetStreams:  100,
		Picker:         "least_in_flight",
		IdleTimeout:    240 * time.Second,
		MaxLifetime:    time.Hour,
		LifetimeJitter: 0.25,
		MaxPending:     NoPendingLimit,

		OutlierInterval: 10 * time.Second,
	}
}

// Validate reports the first setting that is out of its bounds.
func (c Config) Validate() error {
	if c.Size < 0 || c.Size > MaxSubchannels {
		return fieldError(sizeName, c.Size, "must be 0 to %d", MaxSubchannels)
	}
	return c.effective().validate()
}

// withoutSize returns c with Size in MinSize and MaxSize; one below 0 too, so that it is refused there.
func (c Config) withoutSize() Config {
	if c.Size != 0 {
		c.MinSize, c.MaxSize, c.Size = c.Size, c.Size, 0
	}
	return c
}

// effective returns c without Size, and MaxSize as it follows MinSize. A MaxSize that is the
// default cannot be told from one that was not given.
func (c Config) effective() Config {
	c = c.withoutSize()
	if c.MaxSize == Default().MaxSize {
		c.MaxSize = max(c.MaxSize, c.MinSize)
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c == (Config{}):
		return fieldError("maxSize", c.MaxSize, "must be 1 to %d; every setting is zero: start from subpool.DefaultConfig", MaxSubchannels)
	case len(c.Name) > MaxName || !printable(c.Name):
		return fieldError("name", strconv.QuoteToASCII(c.Name), "must be at most %d bytes of printable text", MaxName)
	case c.MinSize < 0 || c.MinSize > MaxSubchannels:
		return fieldError("minSize", c.MinSize, "must be 0 to %d", MaxSubchannels)
	case c.MaxSize < 1 || c.MaxSize > MaxSubchannels:
		return fieldError("maxSize", c.MaxSize, "must be 1 to %d", MaxSubchannels)
	case c.MaxSize < c.MinSize:
		return fieldError("maxSize", c.MaxSize, "must be at least minSize (%d)", c.MinSize)
	case c.TargetStreams < 1 || c.TargetStreams > math.MaxInt32:
		return fieldError("targetStreams", c.TargetStreams, "must be 1 to %d", math.MaxInt32)
	case c.Picker == "" || !utf8.ValidString(c.Picker):
		return fieldError("picker", strconv.Quote(c.Picker), "must name a picker")
	case !(c.LifetimeJitter >= 0 && c.LifetimeJitter <= 1): // so written, NaN is out too
		return fieldError("lifetimeJitter", c.LifetimeJitter, "must be 0 to 1")
	case c.MaxPending < 0 || c.MaxPending > NoPendingLimit:
		return fieldError("maxPending", c.MaxPending, "must be 0 to %d", NoPendingLimit)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
		least time.Duration // other than 0
	}{
		{"idleTimeout", c.IdleTimeout, MinInterval},
		{"maxLifetime", c.MaxLifetime, MinInterval},
		{"drainTimeout", c.DrainTimeout, 0},
		{"unresponsiveTimeout", c.UnresponsiveTimeout, 0},
		{"outlierInterval", c.OutlierInterval, MinInterval},
		{"resolveInterval", c.ResolveInterval, MinInterval},
	} {
		if d.value < 0 {
			return fieldError(d.name, fmt.Sprintf("%q", d.value), "must not be negative")
		}
		if d.value > 0 && d.value < d.least {
			return fieldError(d.name, fmt.Sprintf("%q", d.value), "must be 0s or at least %v", d.least)
		}
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// fieldError is how every bad setting is reported: field, value, bound.
func fieldError(name string, value any, bound string, args ...any) error {
	return fmt.Errorf("subpool: %s: %v, %s", name, value, fmt.Sprintf(bound, args...))
}
