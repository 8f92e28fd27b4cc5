package docblocks

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A note "Guards: `…`" above a test names code that the test fails without. What it quotes
// must be there; where it leaves out something by "…", all parts.
func TestWhatTestsSayTheyGuardIsThere(t *testing.T) {
	blank := regexp.MustCompile(`\s+`)
	code, notes := "", map[string][]string{}
	note := regexp.MustCompile(`// Guards: (?:.*\n)(?:\s*//.*\n)*`)
	require.NoError(t, filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.HasSuffix(path, "_test.go") {
			notes[path] = note.FindAllString(string(text), -1)
		} else {
			code += blank.ReplaceAllString(string(text), " ")
		}
		return err
	}))
	quote, comment, quotes := regexp.MustCompile("`([^`]+)`"), regexp.MustCompile(`\n\s*// ?`), 0
	for path, all := range notes {
		for _, n := range all {
			for _, q := range quote.FindAllStringSubmatch(comment.ReplaceAllString(n, " "), -1) {
				quotes++
				for part := range strings.SplitSeq(q[1], "…") {
					//nolint:testifylint // require.Contains would print all code
					require.True(t, strings.Contains(code, blank.ReplaceAllString(strings.TrimSpace(part), " ")), "%s: %q is in no file", path, q[1])
				}
			}
		}
	}
	require.Greater(t, quotes, 100)
}
