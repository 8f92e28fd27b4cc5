package settings

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
)

func explain(t *testing.T, args ...string) (string, error) {
	var out bytes.Buffer
	err := Run(t.Context(), args, cli.IO{Out: &out})
	return out.String(), err
}

func TestSettingsAndAFleetAreExplained(t *testing.T) {
	for _, input := range []string{
		`{"size":8,"maxLifetime":"10m"}`,
		`{"loadBalancingConfig":[{"subpool":{"size":8,"maxLifetime":"10m"}}]}`,
		"subpool:///svc:443?size=8&maxLifetime=10m",
	} {
		out, err := explain(t, input, "-clients", "1000", "-endpoints", "3")
		require.NoError(t, err)
		assert.Regexp(t, `(?m)^minSize +8 +size$`, out)
		assert.Regexp(t, `(?m)^idleTimeout +"4m0s" +default$`, out)
		assert.Contains(t, out, "\n1000 clients of 3 server addresses each:\n")
		assert.Regexp(t, `(?m)^connections +24000 +24000$`, out)
		assert.Contains(t, out, "All start together: 24000 dials at once. While all is replaced: never more than 51000 connections.\n")
	}
}

func TestAFieldThatIsNotKnownIsShown(t *testing.T) {
	out, err := explain(t, `{"sise":8}`)
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^sise +unknown, ignored$`, out)
	assert.Contains(t, out, "\n1 client of 1 server address each:\n")
}

func TestBadInputIsNotExplained(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", "0 arguments, must be 1: settings or a target"},
		{"{} {}", "2 arguments, must be 1: settings or a target"},
		{"{} -clients 0", "-clients: 0, must be at least 1"},
		{"{} -endpoints -1", "-endpoints: -1, must be at least 1"},
		{`{"size":0}`, "subpool: size: 0, must be 1 to 1024"},
		{"subpool://svc:443", `subpool: target "subpool://svc:443": names no host; did you mean subpool:///svc:443?`},
	} {
		out, err := explain(t, strings.Fields(tt.args)...)
		assert.ErrorAs(t, err, new(cli.InputError), tt.args)
		assert.EqualError(t, err, tt.want)
		assert.Empty(t, out)
	}
}
