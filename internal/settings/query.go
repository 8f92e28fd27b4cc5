package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/grpc-subpool/subpool/config"
)

// ParseQuery reads settings from the query of a target, like
// "size=8&maxLifetime=10m", as [Parse] does from JSON. given names those that
// were given, sorted. The grammar is ours alone, so an unknown name is an
// error, as is one that is repeated.
func ParseQuery(query string) (c config.Config, given []string, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return config.Config{}, nil, fmt.Errorf("subpool: settings: %w", err)
	}
	object := make(map[string]json.RawMessage)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		all := values[name]
		if !slices.Contains(Names(), name) {
			return config.Config{}, nil, fmt.Errorf("subpool: %.64q: unknown setting, must be one of %s", name, strings.Join(Names(), ", "))
		}
		if len(all) > 1 {
			return config.Config{}, nil, fmt.Errorf("subpool: %s: %.64s, must be given once", name, strings.ToValidUTF8(strings.Join(all, ", "), ""))
		}
		object[name] = queryValue(all[0])
	}
	js, err := json.Marshal(object)
	if err != nil {
		return config.Config{}, nil, fmt.Errorf("subpool: settings: %w", err)
	}
	c, given, _, err = Parse(js)
	return c, given, err
}

// queryValue is the JSON of one value: a number if it looks like one, otherwise
// a string, so that a field says the same of it as it says of JSON.
func queryValue(s string) json.RawMessage {
	if strings.IndexAny(s, "-0123456789") == 0 && json.Valid([]byte(s)) {
		return json.RawMessage(s)
	}
	js, _ := json.Marshal(s) //nolint:errchkjson // a string always can be
	return js
}

// HideUserinfo takes out of a target, and of what it nests, what RFC 3986 calls userinfo: a
// password may be in it.
func HideUserinfo(target string) string { return userinfo.ReplaceAllString(target, "://…@") }

var userinfo = regexp.MustCompile(`://[^/?#@]*@`)
