// Package settings reads a [config.Config] from JSON and from the query of a target, and
// says which settings were given and which have changed.
package settings

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/grpc-subpool/subpool/config"
)

// fields lists every setting but size, which stands for two.
var fields = slices.DeleteFunc(reflect.VisibleFields(reflect.TypeFor[config.Config]()),
	func(f reflect.StructField) bool { return f.Name == "Size" })

// Names returns the names of all settings.
func Names() []string {
	names := []string{"size"}
	for _, f := range fields {
		names = append(names, f.Tag.Get("json"))
	}
	return names
}

// Parse reads settings from a JSON object, as Config.UnmarshalJSON does, and returns the
// names of those that were given, and of the fields that are not known, which are most
// likely misspelt.
func Parse(js []byte) (c config.Config, given, unknown []string, err error) {
	if err := c.UnmarshalJSON(js); err != nil {
		return config.Config{}, nil, nil, err
	}
	unknown = config.Unknown(js)
	var object map[string]json.RawMessage
	_ = json.Unmarshal(js, &object) // it was read before
	for name, value := range object {
		if _, no := slices.BinarySearch(unknown, name); !no && string(value) != "null" {
			given = append(given, name)
		}
	}
	slices.Sort(given)
	return c, given, unknown, nil
}

// Diff names the settings in which c differs from old, like "maxSize 4→8"; it is empty
// if none does.
func Diff(old, c config.Config) string {
	var changes []string
	for _, f := range fields {
		was, is := shown(old, f), shown(c, f)
		if was != is {
			changes = append(changes, fmt.Sprintf("%s %s→%s", f.Tag.Get("json"), was, is))
		}
	}
	return strings.Join(changes, ", ")
}

func shown(c config.Config, f reflect.StructField) string {
	value := reflect.ValueOf(c).FieldByIndex(f.Index).Interface()
	if f.Name == "MaxPending" && value == config.NoPendingLimit {
		return "none"
	}
	return fmt.Sprint(value)
}
