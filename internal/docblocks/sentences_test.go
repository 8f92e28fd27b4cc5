package docblocks

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const mostWords = 30

var (
	fenced    = regexp.MustCompile("(?ms)^```.*?^```$")
	quoted    = regexp.MustCompile("`[^`]+`")
	linked    = regexp.MustCompile(`\]\([^)]*\)`)
	item      = regexp.MustCompile(`(?m)^\s*[-*] `)
	paragraph = regexp.MustCompile(`\n\s*\n`)
	ends      = regexp.MustCompile(`[.?!][*)]*(\s+|$)`)
)

// sentences are those outside code, tables and headings; what is quoted counts as a word.
func sentences(text string) (all []string) {
	text = fenced.ReplaceAllString(text, "\n")
	text = quoted.ReplaceAllString(text, "code")
	text = linked.ReplaceAllString(text, "]")
	text = item.ReplaceAllString(text, "\n\n")
	for _, p := range paragraph.Split(text, -1) {
		p = strings.TrimSpace(p)
		if strings.HasPrefix(p, "|") || strings.HasPrefix(p, "#") {
			continue
		}
		for _, s := range ends.Split(p, -1) {
			if s != "" {
				all = append(all, strings.Join(strings.Fields(s), " "))
			}
		}
	}
	return all
}

func TestASentenceOfTheREADMEIsShort(t *testing.T) {
	all := sentences(read(t, "README.md"))
	require.Greater(t, len(all), 40)
	for _, s := range all {
		require.LessOrEqual(t, len(strings.Fields(s)), mostWords, s)
	}
}

// Without this the test above might find no sentence, or never an end of one.
func TestSentencesAreToldApart(t *testing.T) {
	require.Equal(t,
		[]string{"One of code, wrapped", "**Two", "Three [a]", "An item"},
		sentences("# Title\n\nOne of `a. b`,\nwrapped. **Two.** Three [a](b. c).\n\n```go\nfour. five\n```\n\n| a. b |\n\n- An item.\n"))
}
