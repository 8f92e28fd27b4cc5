package subpool_test

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool"
)

// go doc shows no fields of an alias, so its comment lists them. Here each line of it is
// held against the field, its default and what Validate demands.
func TestTheCommentOfConfigListsItsFields(t *testing.T) {
	source, err := os.ReadFile("subpool.go")
	require.NoError(t, err)
	listed := regexp.MustCompile(`(?m)^//\t([A-Z]\w+) +(\S*)  +(\S.*?)  +\S`).FindAllStringSubmatch(string(source), -1)
	fields := reflect.VisibleFields(reflect.TypeFor[subpool.Config]())
	require.Len(t, listed, len(fields))
	for i, f := range fields {
		byDefault := reflect.ValueOf(subpool.DefaultConfig()).FieldByIndex(f.Index)
		require.Equal(t, []string{f.Name, fmt.Sprint(byDefault), demand(f)}, listed[i][1:])
	}
}

// demand is what Validate says of a value below the bound of f.
func demand(f reflect.StructField) (must string) {
	bad := []any{-1}
	switch f.Type {
	case reflect.TypeFor[string]():
		bad = []any{"", strings.Repeat("x", 65)}
	case reflect.TypeFor[time.Duration]():
		bad = append(bad, 1) // the bound above 0, if there is one
	}
	for _, value := range bad {
		c := subpool.DefaultConfig()
		reflect.ValueOf(&c).Elem().FieldByIndex(f.Index).Set(reflect.ValueOf(value).Convert(f.Type))
		if err := c.Validate(); err != nil {
			_, must, _ = strings.Cut(err.Error(), ", must ")
		}
	}
	return must
}
