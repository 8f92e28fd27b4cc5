//go:build linux

package service

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-subpool/subpool/integration/internal/process"
)

// clusterIP is the Service's address. No interface has it, and nobody listens there.
const clusterIP = "127.96.0.1"

// rules are those of a Service and of what else the network does. The chain that connections
// go through when they are made is emptied and filled in one transaction: connections that are
// there are the kernel's, which goes on with them as it began.
var rules = template.Must(template.New("rules").Parse(`
table ip service {
	chain endpoints { }
	chain services {
		type nat hook output priority -100
	}
	chain network {
		type filter hook output priority 0
	}
}
flush table ip service
table ip service {
	chain services {
		ip daddr {{.ClusterIP}} tcp dport 443 jump endpoints
	}
	chain endpoints {
		meta l4proto tcp dnat ip to numgen random mod {{len .Ready}} map { {{range $i, $addr := .Ready}}{{$i}} : {{$addr}}, {{end}} }
	}
	chain network {
		{{range .Dead}}
		ip daddr {{.}} drop
		ip saddr {{.}} drop
		{{end}}
		ip daddr {{.ClusterIP}} drop comment "a flow that was forgotten"
	}
}
`))

// A service is a ClusterIP and the backends behind it.
type service struct {
	nft      string
	backends []*backend
	ready    []int // those that new connections may get
	dead     []int // those whose node is gone
}

// A backend is one server: a pod.
type backend struct {
	grpc_testing.UnimplementedTestServiceServer
	addr   string // of its pod, without the port
	number int
	takes  time.Duration // that an RPC takes
	server *grpc.Server
}

const backendPort = 8443

// startService runs k backends, all of them ready.
func startService(t *testing.T, k int, takes time.Duration) *service {
	t.Helper()
	if barred != nil {
		t.Skip(barred)
	}
	s := &service{nft: process.Find(t, "nft", "nftables")}
	for i := range k {
		b := &backend{addr: fmt.Sprintf("127.1.0.%d", i+1), number: i, takes: takes, server: grpc.NewServer()}
		grpc_testing.RegisterTestServiceServer(b.server, b)
		l, err := net.Listen("tcp", net.JoinHostPort(b.addr, strconv.Itoa(backendPort)))
		require.NoError(t, err)
		go func() { _ = b.server.Serve(l) }()
		t.Cleanup(b.server.Stop)
		s.backends = append(s.backends, b)
		s.ready = append(s.ready, i)
	}
	s.apply(t)
	return s
}

// route makes those backends the ones that new connections get.
func (s *service) route(t *testing.T, ready ...int) {
	t.Helper()
	s.ready = ready
	s.apply(t)
}

// kill makes the node of a backend vanish: what is sent to it and by it is dropped.
func (s *service) kill(t *testing.T, backend int) {
	t.Helper()
	s.dead = append(slices.Clip(s.dead), backend)
	s.apply(t)
}

func (s *service) apply(t *testing.T) {
	t.Helper()
	var script bytes.Buffer
	require.NoError(t, rules.Execute(&script, map[string]any{"ClusterIP": clusterIP, "Ready": s.podAddrs(s.ready), "Dead": s.addrs(s.dead)}))
	cmd := exec.Command(s.nft, "-f", "-")
	cmd.Stdin = &script
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "nft: %s", out)
}

func (s *service) addrs(backends []int) (addrs []string) {
	for _, i := range backends {
		addrs = append(addrs, s.backends[i].addr)
	}
	return addrs
}

func (s *service) podAddrs(backends []int) (addrs []string) {
	for _, addr := range s.addrs(backends) {
		addrs = append(addrs, addr+" . "+strconv.Itoa(backendPort))
	}
	return addrs
}

// setting changes one of the kernel's for connections, in this namespace, until the test ends.
func setting(t *testing.T, name, value string) {
	t.Helper()
	path := "/proc/sys/net/netfilter/" + name
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(value), 0o600))
	t.Cleanup(func() { _ = os.WriteFile(path, before, 0o600) })
}

// tracked reports whether the kernel knows one of the connections with these local addresses.
func tracked(t *testing.T, conns []string) bool {
	t.Helper()
	table, err := os.ReadFile("/proc/net/nf_conntrack")
	require.NoError(t, err)
	return slices.ContainsFunc(conns, func(addr string) bool {
		_, port, _ := strings.Cut(addr, ":")
		return bytes.Contains(table, []byte(" dst="+clusterIP+" sport="+port+" "))
	})
}

const backendKey = "backend"

// EmptyCall says which backend it is.
func (b *backend) EmptyCall(ctx context.Context, _ *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	time.Sleep(b.takes)
	return &grpc_testing.Empty{}, grpc.SetHeader(ctx, metadata.Pairs(backendKey, strconv.Itoa(b.number)))
}

// percent writes shares in a row.
func percent(shares []float64) string {
	var texts []string
	for _, s := range shares {
		texts = append(texts, fmt.Sprintf("%.0f", 100*s))
	}
	return strings.Join(texts, "/") + " %"
}
