package subpool_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/experimental/stats"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// rows are the table rows of a page whose first cell is a name of that kind.
func rows(t *testing.T, page string, name *regexp.Regexp) (rows [][]string) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if name.MatchString(strings.Trim(cells[0], "`")) {
			rows = append(rows, cells)
		}
	}
	return rows
}

func TestThePageOfOperationsListsTheMetrics(t *testing.T) {
	types := map[stats.MetricType]string{
		stats.MetricTypeIntCount:       "counter",
		stats.MetricTypeIntUpDownCount: "up-down counter",
		stats.MetricTypeIntGauge:       "gauge",
		stats.MetricTypeIntAsyncGauge:  "gauge",
		stats.MetricTypeFloatHisto:     "histogram",
	}
	var listed []string
	for _, row := range rows(t, "docs/operations.md", regexp.MustCompile(`^subpool\.`)) {
		name := strings.Trim(row[0], "`")
		listed = append(listed, name)
		d := stats.DescriptorForMetric(name)
		require.NotNil(t, d, name)
		require.Len(t, row, 6, name)
		require.Equal(t, types[d.Type], row[1], name)
		require.Equal(t, "`"+d.Unit+"`", row[2], name)
		require.Equal(t, "`"+strings.Join(d.Labels, "`, `")+"`", row[3], name)
	}
	var registered []string
	for name := range subpool.Metrics().Metrics() {
		registered = append(registered, name)
	}
	require.ElementsMatch(t, registered, listed)
}

func TestThePageOfOperationsListsTheReasons(t *testing.T) {
	s := harness.Start(t, harness.Options{})
	require.NoError(t, emptyCall(s.NewClient(t, harness.Policy(`{}`))))
	pools := subpool.Pools()
	require.Len(t, pools, 1)
	shown, _ := pools[0].Snapshot()
	var listed []string
	for _, row := range rows(t, "docs/operations.md", regexp.MustCompile(`^[a-z_]+$`)) {
		if name := strings.Trim(row[0], "`"); len(row) == 3 && row[2] != "" {
			listed = append(listed, name)
		}
	}
	var known []string
	for reason := range shown.Totals.Retired {
		known = append(known, reason)
	}
	slices.Sort(known)
	require.ElementsMatch(t, known, listed)
}
