package proxies

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/integration/internal/process"
)

// nginxConf is a gRPC proxy as in nginx's own examples. The limits that a test does not
// ask for are out of the way. Each RPC to a backend takes a connection there.
var nginxConf = template.Must(template.New("nginx.conf").Parse(`
daemon off;
worker_processes {{.Workers}};
error_log stderr notice;
pid nginx.pid;
events { worker_connections 4096; }
http {
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	log_format requests '$http_user_agent $connection $connection_requests';
	access_log access.log requests;
	keepalive_requests 100000000;
	http2_max_concurrent_streams 10000;
	keepalive_timeout 1h;
	upstream backends {
		{{range .Backends}}server {{.Addr}};
		{{end}}keepalive 256;
		keepalive_requests 100000000;
	}
	server {
		listen {{.Addr}} http2;
		{{.Habit}}
		location / { grpc_pass grpc://backends; }
	}
}
`))

const nginxWorkers = 2

type nginx struct {
	addr string
	dir  string
	path string
	*process.Process
}

// startNginx runs nginx before the backends, with this directive for its clients.
func startNginx(t *testing.T, habit string, backends []*backend) *nginx {
	t.Helper()
	n := &nginx{path: process.Find(t, "nginx", "nginx"), dir: process.Dir(t)}
	addr, socket := listen(t)
	n.addr = addr
	conf, err := os.Create(n.file("nginx.conf"))
	require.NoError(t, err)
	defer conf.Close()
	require.NoError(t, nginxConf.Execute(conf, map[string]any{
		"Workers": nginxWorkers, "Addr": addr, "Habit": habit, "Backends": backends,
	}))
	// An nginx tells its successor with this variable which sockets it hands over.
	n.Process = process.Start(t, n.dir, socket, []string{"NGINX=3;"}, n.path, n.args()...)
	require.Eventually(t, func() bool { return n.logged(t, "start worker process ") == nginxWorkers },
		20*time.Second, 5*time.Millisecond, "nginx does not start")
	return n
}

func (n *nginx) file(name string) string { return filepath.Join(n.dir, name) }

func (n *nginx) args() []string {
	return []string{"-p", n.dir, "-c", n.file("nginx.conf"), "-e", "stderr"}
}

// reload has new workers take over, and waits until the old ones know.
func (n *nginx) reload(t *testing.T) {
	t.Helper()
	before := n.logged(t, "gracefully shutting down")
	out, err := exec.Command(n.path, append(n.args(), "-s", "reload")...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Eventually(t, func() bool { return n.logged(t, "gracefully shutting down") == before+nginxWorkers },
		20*time.Second, 5*time.Millisecond, "the old workers were not told to end")
}

// logged tells how often nginx has logged something.
func (n *nginx) logged(t *testing.T, what string) int {
	t.Helper()
	return strings.Count(n.Output(t), what)
}

// A sight is what nginx saw of the channels of a name.
type sight struct{ connections, mostRequests int }

// saw reads the access log.
func (n *nginx) saw(t *testing.T) map[string]sight {
	t.Helper()
	log, err := os.Open(n.file("access.log"))
	require.NoError(t, err)
	defer log.Close()
	sights, known := make(map[string]sight), make(map[int]bool)
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var name, grpc string
		var conn, request int
		_, err := fmt.Sscan(lines.Text(), &name, &grpc, &conn, &request)
		require.NoError(t, err, lines.Text())
		s := sights[name]
		if !known[conn] {
			known[conn] = true
			s.connections++
		}
		s.mostRequests = max(s.mostRequests, request)
		sights[name] = s
	}
	return sights
}
