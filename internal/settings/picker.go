package settings

import (
	"fmt"
	"slices"
	"strings"
)

// CheckPicker reports a picker that is not among the known names.
func CheckPicker(name string, known []string) error {
	if !slices.Contains(known, name) {
		return fmt.Errorf("subpool: picker: %q, must be one of %s", name, strings.Join(known, ", "))
	}
	return nil
}
