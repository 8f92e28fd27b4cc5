package docblocks

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/experimental/stats"

	"github.com/grpc-subpool/subpool"
)

func read(t *testing.T, file string) string {
	text, err := os.ReadFile("../../" + file)
	require.NoError(t, err)
	return string(text)
}

// exported is how Prometheus calls a metric.
func exported(d *stats.MetricDescriptor) string {
	name := strings.ReplaceAll(d.Name, ".", "_")
	switch d.Type {
	case stats.MetricTypeIntCount, stats.MetricTypeFloatCount:
		return name + "_total"
	case stats.MetricTypeIntHisto, stats.MetricTypeFloatHisto:
		return name + map[string]string{"s": "_seconds"}[d.Unit] + "_sum"
	}
	return name
}

// valuesOf finds what a label may be: in the row of its metric, or in the table of reasons.
func valuesOf(t *testing.T, metric, label string) []string {
	operations := read(t, "docs/operations.md")
	row := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(metric) + "` .*$").FindString(operations)
	require.NotEmpty(t, row, metric)
	if label == "subpool_reason" {
		row = strings.Join(regexp.MustCompile("(?m)^\\| `[a-z_]+` \\|").FindAllString(operations, -1), "\n")
	}
	return regexp.MustCompile("`[a-z_]+`").FindAllString(row, -1)
}

// An alert whose metric is misspelt never fires, a panel shows nothing, and both look well.
func TestAlertsAndTheDashboardAreAboutMetricsThatExist(t *testing.T) {
	known := make(map[string]*stats.MetricDescriptor)
	for name := range subpool.Metrics().Metrics() {
		d := stats.DescriptorForMetric(name)
		known[exported(d)] = d
	}
	dashboard := strings.NewReplacer(`\"`, `"`, "_bucket{", "_sum{").Replace(read(t, "examples/prometheus/dashboard.json"))
	rules := read(t, "examples/prometheus/alerts.yml") + dashboard
	named := regexp.MustCompile(`\bsubpool_\w+(\{[^}]*\})?`).FindAllString(rules, -1)
	label := regexp.MustCompile(`(\w+)=~?"([\w|]+)"`)
	metrics := 0
	for _, n := range named {
		name, selector, _ := strings.Cut(n, "{")
		if slices.Contains([]string{"subpool_state", "subpool_outcome", "subpool_reason"}, name) {
			continue // a label, seen with its metric
		}
		d := known[name]
		require.NotNil(t, d, n)
		metrics++
		for _, l := range label.FindAllStringSubmatch(selector, -1) {
			require.Contains(t, strings.Join(d.Labels, " "), strings.Replace(l[1], "_", ".", 1), n)
			for value := range strings.SplitSeq(l[2], "|") {
				require.Contains(t, valuesOf(t, d.Name, l[1]), "`"+value+"`", n)
			}
		}
	}
	require.Greater(t, metrics, 30)
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
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(name(rules)))), len(rules))
}
