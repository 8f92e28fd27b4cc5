package servers

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/integration/internal/process"
)

// C-core ends a connection at its age with a GOAWAY that refuses nothing and, when its PING
// was answered, a final one that refuses nothing either. One that is idle it ends with a
// GOAWAY that refuses all (INTERNAL_ERROR, last stream 0), and closes at once.
var ccore = channelArguments("C-core (Python)", startPython, 150)

// channelArguments are the scenarios of a server that takes C-core's arguments, in JSON; start's
// answers take as long as it is told.
func channelArguments(part string, start func(arguments string, answer time.Duration) func(*testing.T) server, perSecond int) []scenario {
	return []scenario{
		{
			part: part, habit: "max_connection_age_ms 1000", ends: true,
			start: start(`{"grpc.max_connection_age_ms": 1000}`, 0),
			load:  load{interval: time.Second / time.Duration(perSecond), rpcs: 5 * perSecond},
		},
		{
			part: part, habit: "max_connection_idle_ms 600", ends: true, pools: 2, size: 16,
			start: start(`{"grpc.max_connection_idle_ms": 600}`, 0),
			load:  nearly600,
		},
		{
			part: part, habit: "max_concurrent_streams 5", limit: 5,
			start: start(`{"grpc.max_concurrent_streams": 5}`, 50*time.Millisecond),
			load:  load{interval: time.Second / 150, rpcs: 600},
		},
	}
}

// startPython runs a server on C-core with these options, in JSON, whose answers take so long.
func startPython(options string, answer time.Duration) func(*testing.T) server {
	return func(t *testing.T) server {
		const python, grpcio = "/usr/bin/python3", "/usr/lib/python3/dist-packages/grpc" // of Debian; another Python knows nothing of its packages
		if _, err := os.Stat(grpcio); err != nil {
			t.Skipf("%v; in Debian it is in the package python3-grpcio", err)
		}
		script, err := filepath.Abs("testdata/python/server.py")
		require.NoError(t, err)
		p := process.Start(t, process.Dir(t), nil, nil, python, script, options, strconv.FormatInt(answer.Milliseconds(), 10))
		found := awaitOutput(t, p, regexp.MustCompile(`(grpcio .*) serves at (.+)\.\n`))
		return server{version: found[1], dial: tcp(found[2])}
	}
}

// awaitOutput waits until a program has printed what is looked for.
func awaitOutput(t *testing.T, p *process.Process, what *regexp.Regexp) (found []string) {
	t.Helper()
	require.Eventually(t, func() bool {
		found = what.FindStringSubmatch(p.Output(t))
		return found != nil
	}, 20*time.Second, 5*time.Millisecond, "the program does not print %q", what)
	return found
}
