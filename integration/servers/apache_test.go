package servers

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/integration/internal/process"
)

// Apache that restarts gracefully ends each connection with a GOAWAY that refuses nothing, a
// final one right behind it, and closes at once, with streams open.
var apache = []scenario{
	{
		part: "Apache mod_proxy_http2", habit: "H2MaxSessionStreams 5", limit: 5,
		start: apacheWith(50*time.Millisecond, 5),
		load:  load{interval: time.Second / 150, rpcs: 600},
	},
	{
		part: "Apache mod_proxy_http2", habit: "SIGUSR1 (graceful), three times", ends: true, disturbed: 3,
		start: apacheWith(5*time.Millisecond, 100),
		load:  load{interval: time.Second / 300, rpcs: 1500},
	},
}

var apacheConf = template.Must(template.New("apache.conf").Parse(`
ServerRoot {{.Dir}}
PidFile {{.Dir}}/pid
ServerName localhost
Listen {{.Addr}}
LoadModule mpm_event_module {{.Modules}}/mod_mpm_event.so
LoadModule authz_core_module {{.Modules}}/mod_authz_core.so
LoadModule proxy_module {{.Modules}}/mod_proxy.so
LoadModule http2_module {{.Modules}}/mod_http2.so
LoadModule proxy_http2_module {{.Modules}}/mod_proxy_http2.so
User nobody
Group nogroup
ErrorLog {{.Dir}}/error.log
Protocols h2c
H2MaxSessionStreams {{.Streams}}
KeepAliveTimeout 3600
MaxKeepAliveRequests 0
StartServers 2
ServerLimit 8
ThreadsPerChild 64
MaxRequestWorkers 512
H2MaxWorkers 256
ProxyPass / h2c://{{.Backend}}/
`))

// apacheWith runs Apache with this limit of streams before a server whose answers take so long.
func apacheWith(answer time.Duration, streams int) func(*testing.T) server {
	return func(t *testing.T) server {
		path, dir, addr := process.Find(t, "apache2", "apache2-bin"), process.Dir(t), freeAddr(t)
		version, err := exec.Command(path, "-v").Output()
		require.NoError(t, err)
		conf, err := os.Create(filepath.Join(dir, "apache.conf"))
		require.NoError(t, err)
		defer conf.Close()
		require.NoError(t, apacheConf.Execute(conf, map[string]any{
			"Dir": dir, "Addr": addr, "Modules": "/usr/lib/apache2/modules", "Streams": streams, "Backend": startBackend(t, answer),
		}))
		p := process.Start(t, dir, nil, nil, path, "-DFOREGROUND", "-f", conf.Name())
		awaitDial(t, tcp(addr))
		return server{version: strings.TrimSpace(string(version)), dial: tcp(addr), disturb: func() {
			assert.NoError(t, syscall.Kill(p.Pid, syscall.SIGUSR1))
		}}
	}
}

// freeAddr is an address on which nobody listened just now, for what cannot choose one itself.
func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
