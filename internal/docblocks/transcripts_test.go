package docblocks

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/internal/lifecycle"
)

// transcript is the line before a quotation of one.
var transcript = regexp.MustCompile(`^\[(\w+\.txt)\]\(\.\./(internal/lifecycle/testdata/(\w+\.txt))\):$`)

// A quotation begins with a section of its file or with what is given, and ends before
// something else happens.
func quotes(told, quotation string) bool {
	before, after, found := strings.Cut("\n\n"+told, "\n"+quotation)
	begins := strings.HasPrefix(quotation, "given ") || strings.HasSuffix(before, "\n")
	return found && begins && !strings.HasPrefix(after, "  ")
}

func TestTheLifecyclePageQuotesTheTranscripts(t *testing.T) {
	const page = "docs/lifecycle.md"
	lines := strings.Split(read(t, page), "\n")
	quoted := make(map[string]bool)
	for _, b := range Blocks(t, root) {
		if b.File != filepath.Base(page) || b.Language != "" {
			continue
		}
		at := fmt.Sprintf("%s:%d", page, b.Line)
		before := strings.TrimRight(strings.Join(lines[:b.Line-1], "\n"), "\n")
		name := transcript.FindStringSubmatch(before[strings.LastIndex(before, "\n")+1:])
		require.NotNil(t, name, "%s quotes no file", at)
		require.Equal(t, name[1], name[3], at)
		require.True(t, quotes(read(t, name[2]), b.Text), "%s is not in %s as it is now, or begins or ends within a step:\n%s", at, name[2], b.Text)
		quoted[name[1]] = true
	}
	require.GreaterOrEqual(t, len(quoted), 12)
}

// Without this the test above might find anything in any file.
func TestAQuotationIsAWholePartOfItsFile(t *testing.T) {
	const told = "# One.\ngiven a\nat 1\n  does\n  more\nat 2\n\n# Two.\nat 3\n  does\n"
	for _, tt := range []struct {
		quotation string
		want      bool
	}{
		{"given a\nat 1\n  does\n  more\n", true},
		{"# One.\ngiven a\nat 1\n  does\n  more\nat 2\n\n# Two.\nat 3\n  does\n", true},
		{"# Two.\nat 3\n  does\n", true},
		{"given a\nat 1\n  does\n", false},
		{"given a\nat 1\n  does\n  else\n", false},
		{"at 1\n  does\n  more\n", false},
		{"iven a\nat 1\n  does\n  more\n", false},
	} {
		require.Equal(t, tt.want, quotes(told, tt.quotation), tt.quotation)
	}
}

func TestTheLifecyclePageShowsEachPhase(t *testing.T) {
	page := read(t, "docs/lifecycle.md")
	for phase := range lifecycle.Phases {
		require.Contains(t, page, fmt.Sprintf("\n    %v --> ", phase), "the drawing lacks %v", phase)
		require.Contains(t, page, fmt.Sprintf("\n| `%v` | ", phase), "the table lacks %v", phase)
	}
	for _, arrow := range regexp.MustCompile(`(?m)^    (\w+|\[\*\]) --> (\w+|\[\*\])`).FindAllStringSubmatch(page, -1) {
		for _, phase := range arrow[1:] {
			require.True(t, phase == "[*]" || isPhase(phase), arrow[0])
		}
	}
}

func isPhase(name string) bool {
	for phase := range lifecycle.Phases {
		if phase.String() == name {
			return true
		}
	}
	return false
}

// named is a file in backticks, and what is said to be in it.
var (
	named    = regexp.MustCompile("`((?:\\w+/)+[\\w.-]+\\.(?:go|txt|patch))`(:\\s`\\w+`(?:,\\s`\\w+`)*)?")
	contents = regexp.MustCompile("`(\\w+)`")
)

// A reader is sent from these pages to files: what is said to be there must be there.
func TestWhatTheDocsNameIsThere(t *testing.T) {
	files := 0
	for _, page := range []string{"docs/design.md", "docs/lifecycle.md", "docs/reliability.md", "CONTRIBUTING.md"} {
		for _, n := range named.FindAllStringSubmatch(read(t, page), -1) {
			source, err := os.ReadFile(filepath.Join(root, n[1]))
			require.NoError(t, err, "%s names %s", page, n[1])
			files++
			for _, name := range contents.FindAllStringSubmatch(n[2], -1) {
				there := regexp.MustCompile(`\b` + name[1] + `\b`).Match(source)
				require.True(t, there, "%s names %s in %s", page, name[1], n[1])
			}
		}
	}
	require.Greater(t, files, 30)
}
