package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/integration/internal/process"
)

// grpc-node ends a connection at its age with two GOAWAYs, the second right behind the first;
// one that is idle with a GOAWAY that refuses what it has not seen.
var node = []scenario{
	{
		part: "grpc-node", habit: "max_connection_age_ms 1000", ends: true,
		start: nodeWith(`{"grpc.max_connection_age_ms": 1000}`, 0),
		load:  load{interval: time.Second / 200, rpcs: 1000},
	},
	{
		part: "grpc-node", habit: "max_connection_idle_ms 300", ends: true, size: 16,
		start: nodeWith(`{"grpc.max_connection_idle_ms": 300}`, 0),
		load:  nearly300,
	},
	{
		part: "grpc-node", habit: "max_concurrent_streams 5", limit: 5,
		start: nodeWith(`{"grpc.max_concurrent_streams": 5}`, 50*time.Millisecond),
		load:  load{interval: time.Second / 150, rpcs: 600},
	},
}

func nodeWith(options string, answer time.Duration) func(*testing.T) server {
	return func(t *testing.T) server {
		addr, version := startNode(t, options, answer)
		return server{version: fmt.Sprintf("node %d", version), dial: tcp(addr)}
	}
}

// startNode runs a grpc-node server with these options, in JSON, whose answers take so
// long. The version is node's.
func startNode(t *testing.T, options string, answer time.Duration) (addr string, version int) {
	t.Helper()
	node := process.Find(t, "node", "nodejs")
	dir := process.Dir(t)
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "node"))))
	install(t, dir)
	server := process.Start(t, dir, nil, nil, node, "server.js", options, strconv.FormatInt(answer.Milliseconds(), 10))
	serves := regexp.MustCompile(`node (\d+).* serves at (.+)\.\n`)
	require.Eventually(t, func() bool {
		found := serves.FindStringSubmatch(server.Output(t))
		if found == nil {
			return false
		}
		version, _ = strconv.Atoi(found[1])
		addr = found[2]
		return true
	}, 20*time.Second, 5*time.Millisecond, "grpc-node does not start")
	return addr, version
}

// install gets the packages that the lock file in dir names, or skips the test. npm keeps
// them for the next time.
func install(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, process.Find(t, "npm", "npm"),
		"ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1")
	npm.Dir, npm.WaitDelay = dir, time.Second
	if out, err := npm.CombinedOutput(); err != nil {
		t.Skipf("npm cannot install grpc-node: %v\n%s", err, out)
	}
}
