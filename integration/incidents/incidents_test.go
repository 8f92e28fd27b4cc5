package incidents

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var incidents = []func(*testing.T) incident{
	streamLimit, growthEnds, heldForADial, refused, bars, leaks, drainTimeoutCuts,
	nothingConnects, darkConnection, failingBackend, wrongCertificate, tooManyPings, misspelt, oneBackend,
}

// jq is what it makes of the page's JSON, line by line.
func (s story) jq(t *testing.T, arguments string) []string {
	cmd := exec.Command("sh", "-c", "jq "+arguments)
	cmd.Stdin = bytes.NewReader(s.json)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", arguments, out)
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// finds reports of each expression whether jq finds anything.
func (s story) finds(t *testing.T, expressions []string) []string {
	var each []string
	for _, e := range expressions {
		each = append(each, fmt.Sprintf("([%s] | any(. and . != 0))", e))
	}
	return s.jq(t, "'"+strings.Join(each, ", ")+"'")
}

// Each row names what the RPCs, the pool and the metrics say, and where to look.
func TestTheRowOfAnIncidentIsTrue(t *testing.T) {
	well := play(t, incident{settings: `{"size":2}`, happens: func(c client) { c.calls(100); c.wait(20 * time.Minute) }})
	written := make(map[string]row)
	for _, r := range rows(t) {
		written[r.name] = r
	}
	require.Len(t, written, len(incidents))
	for _, stage := range incidents {
		i := stage(t)
		t.Run(i.name, func(t *testing.T) {
			r, ok := written[i.name]
			require.True(t, ok, "the page has no such row")
			r.requireTrue(t, play(t, i), well)
		})
	}
}

func (r row) requireTrue(t *testing.T, seen, well story) {
	expressions, decisions := r.quotes()
	requireQuoted(t, quoted(r.errors), seen.errors)
	requireQuoted(t, decisions, seen.decisions)
	require.NotEmpty(t, expressions)
	require.NotContains(t, seen.finds(t, expressions), "false", "%v of %s", expressions, seen.json)
	require.NotContains(t, well.finds(t, expressions), "true", "%v of a pool that is well", expressions)
	queries := quoted(r.prometheus)
	require.True(t, len(queries) > 0 || strings.Contains(r.prometheus, "no metric"))
	for i, samples := range seen.scraped.query(t, queries) {
		require.NotEmpty(t, samples, "%s of %v", queries[i], seen.scraped.series)
	}
	for i, samples := range well.scraped.query(t, queries) {
		require.Empty(t, samples, "%s of a pool that is well", queries[i])
	}
	require.NotEmpty(t, r.advice)
}

// From what users see the way leads to every row.
func TestTheTreeLeadsToEachIncident(t *testing.T) {
	tree := section(t, "When something is wrong")
	for _, r := range rows(t) {
		require.Contains(t, tree, "*"+r.name+"*")
	}
}

// A query in the text is not of one row, so here it only has to find what it names.
func TestTheQueriesOfTheTreeFindSomething(t *testing.T) {
	var queries []string
	text, _, _ := strings.Cut(section(t, "When something is wrong"), "\n```")
	for _, span := range quoted(text) {
		if strings.Contains(span, "(") && !strings.Contains(span, "Explain") {
			queries = append(queries, span)
		}
	}
	require.Len(t, queries, 4)
	seen := play(t, incident{settings: `{"size":1}`, server: tenStreams, happens: func(c client) {
		for range 3 {
			end := c.open(15)
			c.wait(20 * time.Second)
			end()
		}
		c.Cut()
		c.wait(time.Second)
	}})
	for i, samples := range seen.scraped.query(t, queries) {
		require.NotEmpty(t, samples, queries[i])
	}
}

// What the page shows of jq is what it prints, here of RPCs that wait at the stream limit.
func TestTheLineForAHostWithoutABrowserPrintsWhatThePageShows(t *testing.T) {
	_, block, found := strings.Cut(section(t, "Without a browser"), "```\n$ curl -s localhost:8080/debug/subpool/json | jq ")
	require.True(t, found)
	block, _, _ = strings.Cut(block, "```")
	end := strings.LastIndex(block, "'\n") + 2
	seen := play(t, streamLimit(t))
	require.Equal(t, strings.Split(strings.TrimSpace(block[end:]), "\n"), seen.jq(t, block[:end]))
}
