package config

import (
	"fmt"
	"strings"
)

// Diff names the settings in which c differs from old, like "maxSize 4→8"; it is empty
// if none does.
func (c Config) Diff(old Config) string {
	var changes []string
	for _, f := range fields {
		if was, is := f.write(&old), f.write(&c); was != is {
			changes = append(changes, fmt.Sprintf("%s %v→%v", f.name, f.shown(was), f.shown(is)))
		}
	}
	return strings.Join(changes, ", ")
}

func (f field) shown(value any) any {
	if f.name == "maxPending" && value == NoPendingLimit {
		return "none"
	}
	return value
}
