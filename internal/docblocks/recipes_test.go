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

var region = regexp.MustCompile(`(?ms)^[ \t]*(?://|#) docs: ([^\n]+)\n(.*?)^[ \t]*(?://|#) end$`)

// regions are what tests mark as shown, by name, without the indentation of the first line.
func regions(t *testing.T) map[string]string {
	all := make(map[string]string)
	require.NoError(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range region.FindAllStringSubmatch(string(text), -1) {
			require.NotContains(t, all, m[1], path)
			indent := m[2][:len(m[2])-len(strings.TrimLeft(m[2], "\t"))]
			all[m[1]] = strings.ReplaceAll("\n"+m[2], "\n"+indent, "\n")[1:]
		}
		return err
	}))
	return all
}

// What the recipes show is compiled and run by the tests that it is part of, and all that these
// mark is shown.
func TestRecipesAreWhatTestsRun(t *testing.T) {
	run := regions(t)
	require.Greater(t, len(run), 12)
	for _, b := range Blocks(t, root) {
		if !b.Quoted() || b.Language == "sh" || b.Language == "console" {
			continue
		}
		found := ""
		for name, text := range run {
			if text == b.Text {
				found = name
			}
		}
		require.NotEmpty(t, found, "%s:%d is run by no test:\n%s", b.File, b.Line, b.Text)
		delete(run, found)
	}
	require.Empty(t, run, "not shown")
}
