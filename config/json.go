package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// size is read into both bounds.
const sizeName = "size"

// fields lists every setting but size, in the order in which they are written.
var fields = slices.DeleteFunc(reflect.VisibleFields(reflect.TypeFor[Config]()),
	func(f reflect.StructField) bool { return f.Name == "Size" })

func (c *Config) at(f reflect.StructField) (name string, at reflect.Value) {
	return f.Tag.Get("json"), reflect.ValueOf(c).Elem().FieldByIndex(f.Index)
}

// UnmarshalJSON reads settings from a JSON object onto c, as encoding/json does: a field that is not
// given, or null, stays as it is. The zero Config becomes [Default] first. Every bound is checked. An
// error names the field, the value and the bound, and leaves c as it was. Fields that it does not know
// are ignored, as gRPC asks of a policy; see [Unknown].
func (c *Config) UnmarshalJSON(js []byte) error {
	raw, err := objectOf(js)
	if err != nil {
		return err
	}
	maps.DeleteFunc(raw, func(_ string, value json.RawMessage) bool { return string(value) == "null" })
	read := *c
	if read == (Config{}) {
		read = Default()
	}
	read = read.withoutSize()
	if err := read.set(raw); err != nil {
		return err
	}
	*c = read
	return nil
}

// Unknown returns the names of the fields of a JSON object that are no settings, most likely because
// they are misspelt, sorted. It is for a program that reads settings itself: the policy logs them.
func Unknown(js []byte) (names []string) {
	raw, _ := objectOf(js)
	for name := range raw {
		if name != sizeName && !slices.ContainsFunc(fields, func(f reflect.StructField) bool { return f.Tag.Get("json") == name }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func objectOf(js []byte) (raw map[string]json.RawMessage, err error) {
	if err := json.Unmarshal(js, &raw); err != nil {
		return nil, fmt.Errorf("subpool: settings: %w", plainJSONError(err))
	}
	if raw == nil {
		return nil, errors.New("subpool: settings: null, must be a JSON object")
	}
	return raw, nil
}

func (c *Config) set(raw map[string]json.RawMessage) error {
	if err := readSizes(c, raw); err != nil {
		return err
	}
	for _, f := range fields {
		name, at := c.at(f)
		if value, ok := raw[name]; ok {
			if err := read(name, value, at.Addr().Interface()); err != nil {
				return err
			}
		}
	}
	if _, ok := raw["maxSize"]; !ok {
		*c = c.effective()
	}
	return c.validate()
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

// MarshalJSON writes every setting, such that UnmarshalJSON reads it into a zero Config that
// is equal then. A MaxPending without limit is left
// out, and so is an empty Name.
func (c Config) MarshalJSON() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.write(), nil
}

// ServiceConfigWith returns a service config that names the policy with these settings, and has
// what other has beside it: methodConfig, retryThrottling, healthCheckConfig. The error is for
// what is no JSON object, or names a policy itself.
//
//	sc, err := c.ServiceConfigWith(`{"healthCheckConfig":{"serviceName":""}}`)
func (c Config) ServiceConfigWith(other string) (string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(other), &fields); err != nil {
		return "", fmt.Errorf("subpool: service config: %w", plainJSONError(err))
	}
	for name := range fields {
		if strings.EqualFold(name, "loadBalancingConfig") || strings.EqualFold(name, "loadBalancingPolicy") {
			return "", fmt.Errorf("subpool: service config: %s: must not be given, for it is added", name)
		}
	}
	if fields == nil {
		return "", errors.New("subpool: service config: null, must be a JSON object")
	}
	fields["loadBalancingConfig"] = json.RawMessage(fmt.Sprintf(`[{"subpool":%s}]`, c.write()))
	all, err := json.Marshal(fields)
	return string(all), err
}

// ServiceConfig returns a service config that names the policy with these
// settings, for grpc.WithDefaultServiceConfig. Settings out of their bounds are
// written as they are: grpc.NewClient then fails, and says which.
func (c Config) ServiceConfig() string {
	return fmt.Sprintf(`{"loadBalancingConfig":[{"subpool":%s}]}`, c.write())
}

func (c Config) write() []byte {
	c = c.effective()
	var buf bytes.Buffer
	for _, f := range fields {
		name, at := c.at(f)
		value := at.Interface()
		if name == "maxPending" && value == NoPendingLimit || name == "name" && value == "" {
			continue
		}
		if d, ok := value.(time.Duration); ok {
			value = d.String()
		}
		js, err := json.Marshal(value)
		if err != nil { // NaN and infinity are no JSON
			js = strconv.AppendQuote(nil, fmt.Sprint(value))
		}
		fmt.Fprintf(&buf, ",%q:%s", name, js)
	}
	return append(append([]byte{'{'}, buf.Bytes()[1:]...), '}')
}

// read sets the field at from JSON. Durations are proto3 JSON ("1.5s") or Go's own form
// ("1h30m"), of which that is a part.
func read(name string, value json.RawMessage, at any) (err error) {
	must := ""
	switch at := at.(type) {
	case *int:
		*at, err = parseInt(name, value)
		return err
	case *float64:
		err, must = json.Unmarshal(value, at), "must be a number"
	case *string:
		err, must = json.Unmarshal(value, at), "must be a string"
	case *time.Duration:
		var s string
		if err, must = json.Unmarshal(value, &s), `must be a duration string like "90s" or "1h30m"`; err == nil {
			*at, err = time.ParseDuration(s)
			must = fmt.Sprintf(`must be a duration like "90s" or "1h30m", at most %q`, time.Duration(math.MaxInt64).Truncate(time.Hour))
		}
	}
	if err != nil {
		return fieldError(name, short(value), "%s", must)
	}
	return nil
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
