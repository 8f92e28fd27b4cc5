package proxies

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/integration/internal/process"
)

// haproxyConf logs for each connection (in HTTP mode, request) the client's address, the
// server's number and how it ended.
var haproxyConf = template.Must(template.New("haproxy.cfg").Parse(`
global
	stats socket {{.Dir}}/admin level admin
	log stdout format raw daemon
	{{.Global}}
defaults
	mode {{.Mode}}
	log global
	log-format "ended %ci:%cp %s %ts"
	option redispatch 1
	timeout connect 10s
	timeout client {{.Timeout}}
	timeout server {{.Timeout}}
frontend clients
	bind fd@3 {{.Proto}}
	default_backend servers
backend servers
	balance roundrobin
	{{range $i, $b := .Backends}}server {{$i}} {{$b.Addr}} {{$.Proto}}
	{{end}}
`))

type haproxy struct {
	addr   string
	dir    string
	path   string
	socket *os.File
	*process.Process
}

type haproxyOptions struct {
	http    bool   // HTTP/2 on both sides, instead of TCP
	global  string // a directive
	timeout string // of silence on either side; an hour if empty
}

func startHAProxy(t *testing.T, o haproxyOptions, backends []*backend) *haproxy {
	t.Helper()
	h := &haproxy{path: process.Find(t, "haproxy", "haproxy"), dir: process.Dir(t)}
	h.addr, h.socket = listen(t)
	values := map[string]any{"Dir": h.dir, "Global": o.global, "Mode": "tcp", "Proto": "", "Timeout": "1h", "Backends": backends}
	if o.http {
		values["Mode"], values["Proto"] = "http", "proto h2"
	}
	if o.timeout != "" {
		values["Timeout"] = o.timeout
	}
	conf, err := os.Create(filepath.Join(h.dir, "haproxy.cfg"))
	require.NoError(t, err)
	defer conf.Close()
	require.NoError(t, haproxyConf.Execute(conf, values))
	h.start(t)
	return h
}

// start runs a process, and waits until it can be talked to.
func (h *haproxy) start(t *testing.T, args ...string) {
	t.Helper()
	args = append([]string{"-db", "-f", filepath.Join(h.dir, "haproxy.cfg")}, args...)
	h.Process = process.Start(t, h.dir, h.socket, nil, h.path, args...)
	pid := fmt.Sprintf("\nPid: %d\n", h.Pid)
	require.Eventually(t, func() bool { return strings.Contains(h.admin("show info"), pid) },
		20*time.Second, 5*time.Millisecond, "haproxy does not start")
}

// reload has a new process take over from the old one, which finishes what it has.
func (h *haproxy) reload(t *testing.T) (old *process.Process) {
	t.Helper()
	old = h.Process
	h.start(t, "-sf", fmt.Sprint(old.Pid))
	return old
}

// admin gives an order, and returns the answer, which is empty if that failed.
func (h *haproxy) admin(order string) string {
	c, err := net.Dial("unix", filepath.Join(h.dir, "admin"))
	if err != nil {
		return ""
	}
	defer c.Close()
	_, _ = io.WriteString(c, order+"\n")
	answer, _ := io.ReadAll(c)
	return string(answer)
}

// An end is how a connection has ended in TCP mode.
type end struct {
	server int
	state  string // of HAProxy's two letters
}

// ended tells which of these connections have ended, and how.
func (h *haproxy) ended(t *testing.T, conns []string) map[string]end {
	t.Helper()
	ends := make(map[string]end)
	for lines := bufio.NewScanner(strings.NewReader(h.Output(t))); lines.Scan(); {
		var conn string
		var e end
		if n, _ := fmt.Sscanf(lines.Text(), "ended %s %d %s", &conn, &e.server, &e.state); n == 3 && slices.Contains(conns, conn) {
			ends[conn] = e
		}
	}
	return ends
}

// timedOut counts the connections of a channel that HAProxy closed for their silence.
func (h *haproxy) timedOut(t *testing.T, c *channel) (n int) {
	t.Helper()
	for _, e := range h.ended(t, c.dialled()) {
		if e.state == "cD" || e.state == "sD" { // the client's timeout, or the server's
			n++
		}
	}
	return n
}
