package lifecycle

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

var update = flag.Bool("update", false, "write what the endpoints do into testdata")

// The files in testdata tell what happens to an endpoint, and what it does. The latter are
// the lines with two spaces before them: this test checks them, or writes them. See
// testdata/README.md for the language.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 12)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			told, err := os.ReadFile(file)
			require.NoError(t, err)
			happened := transcribe(t, string(told))
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(happened), 0o644))
				return
			}
			require.Equal(t, string(told), happened, "go test ./internal/lifecycle -run Transcripts -update writes it anew")
		})
	}
}

// transcribe carries out a file's commands, and returns it with what the endpoints do.
func transcribe(t *testing.T, told string) string {
	var out strings.Builder
	var tr *transcript
	for line := range strings.Lines(told) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue // what it did when this was last written
		}
		out.WriteString(line + "\n")
		switch word, rest, _ := strings.Cut(line, " "); {
		case line == "", word == "#":
			continue
		case word == "given":
			tr = given(t, rest)
		default:
			require.NotNil(t, tr, "nothing is given before: %s", line)
			tr.command(word, rest)
		}
		for _, done := range tr.lines {
			out.WriteString("  " + done + "\n")
		}
		tr.lines = nil
	}
	return out.String()
}

// A transcript is a story that is told in lines.
type transcript struct {
	*story
	lines     []string
	published string // as it was told last
	planned   string // when to plan again, as it was told last
}

// given begins one: "size=4 maxLifetime=1h addresses=2".
func given(t *testing.T, settings string) *transcript {
	addresses := []string{"a:443"}
	if rest, n, several := strings.Cut(settings, " addresses="); several {
		settings, addresses = rest, []string{"a:443", "b:443", "c:443"}[:int(n[0]-'0')]
	}
	tr := &transcript{story: newStory(t, parseSettings(t, config.Config{}, settings), addresses...)}
	tr.drains, tr.each = true, tr.tell
	return tr
}

// command carries out a line.
func (tr *transcript) command(word, rest string) {
	switch word {
	case "at":
		at, events, _ := strings.Cut(rest, ": ")
		d, err := time.ParseDuration(at)
		require.NoError(tr.t, err)
		title := tr.until(start.Add(d))
		for event := range strings.SplitSeq(events, "; ") {
			tr.happens(event)
		}
		tr.step(title)
	case "wait":
		require.False(tr.t, tr.did.Next.IsZero(), "there is nothing to wait for")
		tr.waits(tr.did.Next)
		tr.now = tr.did.Next
		tr.step("at " + offset(tr.now))
	case "show":
		tr.show()
		return
	default:
		require.Fail(tr.t, "no such command", word)
	}
	tr.tellNext()
}

// until lets time pass, with a step at each deadline before then. What is done at one is told
// with its time, and so is what comes after that.
func (tr *transcript) until(then time.Time) (title string) {
	for next := tr.did.Next; !next.IsZero() && next.Before(then); next = tr.did.Next {
		tr.waits(next)
		tr.now = next
		tr.step("at " + offset(next))
	}
	require.False(tr.t, then.Before(tr.now), "time goes backward")
	if then.After(start) {
		tr.waits(then)
	}
	tr.now = then
	if len(tr.lines) > 0 {
		title = "at " + offset(then)
	}
	return title
}

// step is one of a shell. title is told before what is done, if something is.
func (tr *transcript) step(title string) {
	n := len(tr.lines)
	tr.settle()
	if title != "" && len(tr.lines) > n {
		tr.lines = append(tr.lines[:n:n], append([]string{title}, tr.lines[n:]...)...)
	}
}
