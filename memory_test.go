package subpool_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpc-subpool/subpool/internal/harness"
)

const servesApart = "SUBPOOL_TEST_SERVE"

// TestServeApart is no test: BenchmarkIdleConnection runs it in another process,
// whose memory does not count.
func TestServeApart(t *testing.T) {
	how := os.Getenv(servesApart)
	if how == "" {
		t.Skip("only for BenchmarkIdleConnection")
	}
	opts := harness.Options{TCP: true}
	if how == "TLS" {
		opts.TLS, _ = harness.TLS(t, "server")
	}
	fmt.Println("serving", harness.Start(t, opts).Addr())
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the benchmark ends
}

// BenchmarkIdleConnection is the memory, heap and stacks after garbage collection, of
// an idle connection, wrapped by h2conn and not: lower quartiles, for
// stacks that have grown are not always given back in time.
//
//	go test -run '^$' -bench IdleConnection -benchtime 12x .
func BenchmarkIdleConnection(b *testing.B) {
	without, with := harness.Parent("unwrapped"), harness.Parent("wrapped")
	without.DropCreds()
	for _, how := range []string{"plaintext", "TLS"} {
		b.Run(how, func(b *testing.B) {
			addr := serveApart(b, how)
			idleKiB(b, addr, how, with) // what is made once
			var a, z []float64
			for range b.N {
				a = append(a, idleKiB(b, addr, how, without))
				z = append(z, idleKiB(b, addr, how, with))
			}
			slices.Sort(a)
			slices.Sort(z)
			b.ReportMetric(a[len(a)/4], "KiB-without")
			b.ReportMetric(z[len(z)/4], "KiB-with")
			b.ReportMetric(z[len(z)/4]/a[len(a)/4], "with/without")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// serveApart starts a server in a process of its own.
func serveApart(b *testing.B, how string) (addr string) {
	server := exec.Command(os.Args[0], "-test.run=^TestServeApart$", "-test.v")
	server.Env = append(os.Environ(), servesApart+"="+how)
	out, err := server.StdoutPipe()
	require.NoError(b, err)
	in, err := server.StdinPipe()
	require.NoError(b, err)
	require.NoError(b, server.Start())
	b.Cleanup(func() { _ = in.Close(); _ = server.Wait() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if a, ok := strings.CutPrefix(lines.Text(), "serving "); ok {
			return a
		}
	}
	b.Fatal("the server did not start")
	return ""
}

func idleKiB(b *testing.B, addr, how string, parent *harness.ParentPolicy) float64 {
	creds := insecure.NewCredentials()
	if how == "TLS" { // whose certificate it is does not matter here
		creds = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, RootCAs: x509.NewCertPool()})
	}
	const size = 500
	before, earlier := used(), parent.Ready()
	cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(creds),
		grpc.WithDefaultServiceConfig(parent.Policy(fmt.Sprintf(`{"subpool":{"size":%d}}`, size))))
	require.NoError(b, err)
	defer cc.Close()
	cc.Connect()
	for parent.Ready()-earlier < size {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
	return (used() - before) / size / 1024
}

func used() float64 {
	for range 3 { // pools are emptied by the second
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
