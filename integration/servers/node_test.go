package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/integration/internal/process"
)

// grpc-node ends a connection at its age with two GOAWAYs, the second right behind the first;
// one that is idle with a GOAWAY that refuses what it has not seen.
var node = channelArguments("grpc-node", nodeWith, 200)

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
	node, npm := process.Find(t, "node", "nodejs"), process.Find(t, "npm", "npm")
	if err := install(npm); err != nil {
		t.Skipf("npm cannot install grpc-node: %v", err)
	}
	p := process.Start(t, nodeDir, nil, nil, node, "server.js", options, strconv.FormatInt(answer.Milliseconds(), 10))
	found := awaitOutput(t, p, regexp.MustCompile(`node (\d+).* serves at (.+)\.\n`))
	version, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	return found[2], version
}

// nodeDir has the server and, when they are installed, the packages that it needs.
var nodeDir string

func TestMain(m *testing.M) {
	var err error
	if nodeDir, err = os.MkdirTemp("", "subpool"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(nodeDir)
	os.Exit(code)
}

var (
	installing sync.Once
	installed  error
)

// install gets the packages that the lock file names, once. npm keeps them for the next time.
func install(npm string) error {
	installing.Do(func() {
		if installed = os.CopyFS(nodeDir, os.DirFS(filepath.Join("testdata", "node"))); installed != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, npm,
			"ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1")
		command.Dir, command.WaitDelay = nodeDir, time.Second
		if out, err := command.CombinedOutput(); err != nil {
			installed = fmt.Errorf("%w\n%s", err, out)
		}
	})
	return installed
}
