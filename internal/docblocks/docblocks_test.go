package docblocks

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool"
)

const root = "../.."

var scope = Scope{
	Given: `
var target = "dns:///api.example.com:443"
var creds = grpc.WithTransportCredentials(insecure.NewCredentials())
var mux = http.NewServeMux()
var endpoint grpcresolver.Endpoint
var cc *grpc.ClientConn
`,
	Imports: map[string]string{
		"grpc":     "google.golang.org/grpc",
		"insecure": "google.golang.org/grpc/credentials/insecure",
		"context":  "context",
		"http":     "net/http",
		"log":      "log",
		"fmt":      "fmt",
		"time":     "time",
		"subpool":  "github.com/grpc-subpool/subpool",
		"inspect":  "github.com/grpc-subpool/subpool/inspect",
		"page":     "github.com/grpc-subpool/subpool/page",
		"picker":   "github.com/grpc-subpool/subpool/picker",
		"resolver": "github.com/grpc-subpool/subpool/resolver",
		"base":     "google.golang.org/grpc/balancer/base",

		"grpcresolver": "google.golang.org/grpc/resolver",
	},
}

// What is foreign is compiled by integration/migration, what is quoted by its own test.
func TestGoInTheDocsCompiles(t *testing.T) {
	var ours []Block
	for _, b := range Blocks(t, root) {
		if b.Language == "go" && !b.Foreign() && !b.Quoted() {
			ours = append(ours, b)
		}
	}
	scope.Compile(t, ours...)
}

// JSON in the docs is settings, or a service config; but for the table of what is wrong,
// which a test of its own reads, and settings of other modules.
func TestJSONInTheDocsIsTaken(t *testing.T) {
	taken := 0
	for _, file := range Files(t, root) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.SplitSeq(string(text), "\n") {
			for _, js := range regexp.MustCompile("`(\\{\"[^`]*)`").FindAllStringSubmatch(line, -1) {
				if strings.HasPrefix(line, "| `{") || strings.Contains(js[1], "channelPool") || !json.Valid([]byte(js[1])) {
					continue // `{"size":N}` has no number
				}
				e, err := subpool.Explain(js[1])
				require.NoError(t, err, "%s: %s", file, line)
				require.Empty(t, e.Ignored, "%s: %s", file, line)
				taken++
			}
		}
	}
	require.Greater(t, taken, 5)
}

// A fence without a word is output. What is sh is run by CI, which knows it by a line
// that is "```sh" and nothing else.
func TestEachFenceSaysWhatItIs(t *testing.T) {
	for _, file := range Files(t, root) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for i, line := range strings.Split(string(text), "\n") {
			if fence := strings.TrimSpace(line); strings.HasPrefix(fence, "```") || strings.HasPrefix(fence, "~~~") {
				require.Regexp(t, "^```(sh|go|mermaid)?$", line, "%s:%d", file, i+1)
			}
		}
	}
	for _, b := range Blocks(t, root) {
		require.False(t, b.Language == "" && b.Foreign() && !b.Quoted(), "%s:%d is Go", b.File, b.Line)
	}
}
