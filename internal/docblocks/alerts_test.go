package docblocks

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool"
)

func read(t *testing.T, file string) string {
	text, err := os.ReadFile("../../" + file)
	require.NoError(t, err)
	return string(text)
}

// An alert whose metric is misspelt never fires, and nobody notices.
func TestAlertsAreAboutMetricsThatExist(t *testing.T) {
	var known []string
	for name := range subpool.Metrics().Metrics() {
		known = append(known, strings.ReplaceAll(name, ".", "_"))
	}
	operations := read(t, "docs/operations.md")
	rules := read(t, "examples/prometheus/alerts.yml")
	named := regexp.MustCompile(`\bsubpool_(\w+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(rules, -1)
	require.NotEmpty(t, named)
	label := regexp.MustCompile(`^subpool_(\w+)=~?"([\w|]+)"$`)
	for _, n := range named {
		if n[1] == "state" || n[1] == "outcome" || n[1] == "reason" {
			continue // a label, seen with its metric
		}
		require.Contains(t, known, "subpool_"+strings.TrimSuffix(n[1], "_total"))
		for _, l := range strings.FieldsFunc(n[2], func(r rune) bool { return r == ',' }) {
			parts := label.FindStringSubmatch(l)
			require.NotNil(t, parts, l)
			for _, value := range strings.Split(parts[2], "|") {
				require.Contains(t, operations, "`"+value+"`", "a value of subpool.%s", parts[1])
			}
		}
	}
}

func TestEachAlertIsExplained(t *testing.T) {
	explained := regexp.MustCompile("(?m)^\\| `(Subpool\\w+)` \\|").FindAllStringSubmatch(read(t, "docs/operations.md"), -1)
	rules := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(read(t, "examples/prometheus/alerts.yml"), -1)
	name := func(matches [][]string) (names []string) {
		for _, m := range matches {
			names = append(names, m[1])
		}
		return names
	}
	require.NotEmpty(t, rules)
	require.Equal(t, name(rules), name(explained))
	require.Len(t, slices.Compact(name(rules)), len(rules))
}
