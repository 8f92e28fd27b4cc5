package worlds

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Guards: "Differences that are meant" in docs/reliability.md, each way.
func TestTheDocsNameTheDifferencesThatAreMeant(t *testing.T) {
	page, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "### Differences that are meant")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, d := range meant {
		if row := fmt.Sprintf("| %s | %s |", d.name, d.reason); !strings.Contains(section, row) {
			t.Errorf("docs/reliability.md lacks: %s", row)
		}
	}
	if rows := strings.Count(section, "\n|") - 2; rows != len(meant) {
		t.Errorf("docs/reliability.md has %d rows, the judge %d differences", rows, len(meant))
	}
}
