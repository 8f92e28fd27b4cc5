package incidents

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A row is what the page of operations has of an incident.
type row struct{ name, errors, pool, prometheus, advice string }

// section is what stands under a heading of the page.
func section(t *testing.T, heading string) string {
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n## "+heading+"\n")
	require.True(t, found, heading)
	here, _, _ := strings.Cut(rest, "\n## ")
	return here
}

// rows are those of the table of incidents.
func rows(t *testing.T) (all []row) {
	for line := range strings.Lines(section(t, "Incidents")) {
		if !strings.HasPrefix(line, "| *") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		require.Len(t, cells, 5, line)
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all = append(all, row{strings.Trim(cells[0], "*"), cells[1], cells[2], cells[3], cells[4]})
	}
	return all
}

// quoted is what a cell has as code.
func quoted(cell string) (spans []string) {
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		spans = append(spans, m[1])
	}
	return spans
}

// quotes are the jq expressions of what the pool says, and its decisions.
func (r row) quotes() (expressions, decisions []string) {
	for _, span := range quoted(r.pool) {
		if strings.HasPrefix(span, ".") {
			expressions = append(expressions, span)
		} else {
			decisions = append(decisions, span)
		}
	}
	return expressions, decisions
}

// requireQuoted holds if the spans quote all that was said, and nothing else. In a span … is
// any text.
func requireQuoted(t *testing.T, spans, said []string) {
	t.Helper()
	used := make(map[string]bool)
	for _, text := range said {
		found := false
		for _, span := range spans {
			literal := strings.Split(span, "…")
			require.Greater(t, len(strings.Join(literal, "")), 12, "%q says too little", span)
			for i := range literal {
				literal[i] = regexp.QuoteMeta(literal[i])
			}
			if regexp.MustCompile("^" + strings.Join(literal, ".*") + "$").MatchString(text) {
				found, used[span] = true, true
			}
		}
		require.True(t, found, "the page does not quote: %s", text)
	}
	for _, span := range spans {
		require.True(t, used[span], "nothing says: %s", span)
	}
}
