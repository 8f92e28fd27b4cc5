package servers

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/credentials"

	"github.com/grpc-subpool/subpool/integration/internal/process"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// Caddy's HTTP/2 is that of net/http: it ends a connection that is idle, and at a reload of its
// configuration all over TLS, with a GOAWAY that refuses at once what it has not seen. At a
// reload Caddy 2.6.2 leaves those in h2c open, with the configuration that they began with.
// It has no setting for the streams of a connection.
var caddy = []scenario{
	{
		part: "Caddy, TLS", habit: "caddy reload, three times", ends: true, disturbed: 3,
		start: caddyServer{answer: 5 * time.Millisecond, idle: time.Hour, tls: true}.start,
		load:  load{interval: time.Second / 300, rpcs: 1500},
	},
	{
		part: "Caddy, h2c", habit: "timeouts idle 600 ms", ends: true, pools: 2, size: 16,
		start: caddyServer{idle: 600 * time.Millisecond}.start,
		load:  nearly600,
	},
}

// Without auto_https Caddy asks no authority for a certificate, and listens on no port but this
// one. No other program can take the socket of its admin endpoint, as it could a port.
var caddyfile = template.Must(template.New("Caddyfile").Parse(`
{
	admin unix/{{.Dir}}/admin
	auto_https off
	servers {
		protocols h1 h2 h2c
		timeouts {
			idle {{.Idle}}
		}
	}
}
:{{.Port}} {
	bind 127.0.0.1
	{{if .TLS}}tls {{.Dir}}/cert.pem {{.Dir}}/key.pem{{end}}
	reverse_proxy h2c://{{.Backend}}
}
`))

// A caddyServer is how Caddy serves.
type caddyServer struct {
	answer time.Duration // that the servers behind it take
	idle   time.Duration // after which a connection is closed
	tls    bool
}

func (c caddyServer) start(t *testing.T) server {
	path, dir, addr := process.Find(t, "caddy", "caddy"), process.Dir(t), freeAddr(t)
	version, err := exec.Command(path, "version").Output()
	require.NoError(t, err)
	result := server{version: "Caddy " + strings.TrimSpace(string(version)), dial: tcp(addr)}
	if c.tls {
		ofServer, ofClients := harness.TLS(t, "server.test")
		writePEM(t, dir, ofServer.Certificates[0])
		result.creds = credentials.NewTLS(ofClients)
	}
	// A reload of the configuration that Caddy has does nothing, so each names a server of its own.
	confs := []string{c.configure(t, dir, addr, 0), c.configure(t, dir, addr, 1)}
	// Caddy keeps certificates and its last configuration in the user's directories.
	env := []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}
	process.Start(t, dir, nil, env, path, "run", "--adapter=caddyfile", "--config="+confs[0])
	awaitDial(t, tcp(addr))
	var reloads atomic.Int32
	result.disturb = func() {
		reload := exec.Command(path, "reload", "--adapter=caddyfile", "--config="+confs[reloads.Add(1)%2])
		reload.Env = append(os.Environ(), env...)
		out, err := reload.CombinedOutput()
		assert.NoError(t, err, "%s", out)
	}
	return result
}

// configure writes configuration number n, with a server behind it.
func (c caddyServer) configure(t *testing.T, dir, addr string, n int) (path string) {
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	conf, err := os.Create(filepath.Join(dir, fmt.Sprintf("Caddyfile.%d", n)))
	require.NoError(t, err)
	defer conf.Close()
	require.NoError(t, caddyfile.Execute(conf, map[string]any{
		"Dir": dir, "Port": port, "Idle": c.idle, "TLS": c.tls, "Backend": startBackend(t, c.answer),
	}))
	return conf.Name()
}

// writePEM writes a certificate and its key to files.
func writePEM(t *testing.T, dir string, pair tls.Certificate) {
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: key},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
}
