package servers

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/integration/internal/process"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// nghttpx ends a connection that has had its requests, or that an old process has when the
// configuration is reloaded, with a GOAWAY that refuses nothing, and a final one two seconds
// later. One that was silent for its read timeout it closes without a GOAWAY, so what is on
// its way is lost.
var nghttpx = []scenario{
	{
		part: "nghttpx", habit: "frontend-http2-max-concurrent-streams 5", limit: 5,
		start: nghttpxWith(50*time.Millisecond, "--frontend-http2-max-concurrent-streams=5"),
		load:  load{interval: time.Second / 150, rpcs: 600},
	},
	{
		part: "nghttpx", habit: "frontend-max-requests 50", ends: true,
		start: nghttpxWith(5*time.Millisecond, "--frontend-max-requests=50"),
		load:  load{interval: time.Second / 300, rpcs: 1500},
	},
	{
		part: "nghttpx", habit: "SIGHUP, three times", ends: true, disturbed: 3,
		start: nghttpxWith(5 * time.Millisecond),
		load:  load{interval: time.Second / 300, rpcs: 1500},
	},
	{
		part: "nghttpx", habit: "frontend-http2-read-timeout 600 ms", ends: true, pools: 2, size: 16,
		start: nghttpxWith(0, "--frontend-http2-read-timeout=600ms"),
		load:  nearly600,
	},
	{
		part: "nghttpx", habit: "frontend-http2-read-timeout 1 s, few RPCs", ends: true, pools: 16,
		closesAfter: time.Second,
		start:       nghttpxWith(0, "--frontend-http2-read-timeout=1s"),
		load:        few,
	},
	{
		part: "nghttpx", habit: "the same, and the pool's idleTimeout 500 ms", ends: true, pools: 16,
		settings: `"idleTimeout":"500ms"`,
		start:    nghttpxWith(0, "--frontend-http2-read-timeout=1s"),
		load:     few,
	},
}

// nghttpxWith runs nghttpx with this option before a server whose answers take so long.
func nghttpxWith(answer time.Duration, options ...string) func(*testing.T) server {
	return func(t *testing.T) server {
		path := process.Find(t, "nghttpx", "nghttp2-proxy")
		dir, backend := process.Dir(t), startBackend(t, answer)
		socket := filepath.Join(dir, "socket") // no other program can take it, as it could a port
		version, err := exec.Command(path, "--version").Output()
		require.NoError(t, err)
		p := process.Start(t, dir, nil, nil, path, append([]string{
			"--conf=/dev/null", "--no-ocsp",
			"--frontend=unix:" + socket + ";no-tls",
			"--backend=" + strings.Replace(backend, ":", ",", 1) + ";/;proto=h2",
		}, options...)...)
		awaitDial(t, unix(socket))
		return server{version: string(version), dial: unix(socket), disturb: func() {
			assert.NoError(t, syscall.Kill(p.Pid, syscall.SIGHUP))
		}}
	}
}

// startBackend runs a server for a proxy, whose answers take so long.
func startBackend(t *testing.T, answer time.Duration) (addr string) {
	return harness.Start(t, harness.Options{TCP: true, Handle: func(context.Context, int) error {
		time.Sleep(answer)
		return nil
	}}).Addr()
}

// awaitDial waits until a server can be connected with.
func awaitDial(t *testing.T, dial dialer) {
	t.Helper()
	require.Eventually(t, func() bool {
		conn, err := dial()
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 20*time.Second, 5*time.Millisecond, "the server does not listen")
}
