package docblocks

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool"
)

const root = "../.."

var scope = Scope{
	Given: `
var creds = grpc.WithTransportCredentials(insecure.NewCredentials())
var mux = http.NewServeMux()
var endpoint grpcresolver.Endpoint
`,
	Imports: map[string]string{
		"grpc":     "google.golang.org/grpc",
		"insecure": "google.golang.org/grpc/credentials/insecure",
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

// What is foreign is compiled by integration/migration.
func TestGoInTheDocsCompiles(t *testing.T) {
	var ours []Block
	for _, b := range Blocks(t, root) {
		if b.Language == "go" && !b.Foreign() {
			ours = append(ours, b)
		}
	}
	scope.Compile(t, ours...)
}

// JSON in the docs is settings, or a service config.
func TestJSONInTheDocsIsTaken(t *testing.T) {
	for _, b := range Blocks(t, root) {
		if b.Language == "json" {
			e, err := subpool.Explain(b.Text)
			require.NoError(t, err, "%s:%d", b.File, b.Line)
			require.Empty(t, e.Ignored, "%s:%d", b.File, b.Line)
		}
	}
}

// A fence without a word is output; sh is run by CI.
func TestEachFenceSaysWhatItIs(t *testing.T) {
	for _, b := range Blocks(t, root) {
		require.True(t, slices.Contains([]string{"", "sh", "go", "json", "mermaid"}, b.Language), "%s:%d: %q", b.File, b.Line, b.Language)
		require.False(t, b.Language == "" && b.Foreign(), "%s:%d is Go", b.File, b.Line)
	}
}
