package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
)

const unary = "grpc.testing.TestService/UnaryCall"

// A service remembers what it was asked last, and answers when it may.
type service struct {
	grpc_testing.UnimplementedTestServiceServer
	size   atomic.Int32
	header atomic.Value
	takes  time.Duration
	fails  codes.Code
}

func (s *service) UnaryCall(ctx context.Context, r *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	s.size.Store(r.GetResponseSize())
	md, _ := metadata.FromIncomingContext(ctx)
	s.header.Store(strings.Join(md.Get("x-who"), ","))
	select {
	case <-ctx.Done():
	case <-time.After(s.takes):
	}
	if s.fails != codes.OK {
		return nil, status.Error(s.fails, "as it was told")
	}
	return &grpc_testing.SimpleResponse{Payload: &grpc_testing.Payload{Body: make([]byte, r.GetResponseSize())}}, nil
}

// start returns the address of a server.
func start(t *testing.T, s *service, register func(*grpc.Server), options ...grpc.ServerOption) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(options...)
	grpc_testing.RegisterTestServiceServer(server, s)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	register(server)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func reflects(s *grpc.Server) { reflection.Register(s) }
func isSilent(*grpc.Server)   {}

func probe(ctx context.Context, args ...string) (out, errOut string, err error) {
	var o, e bytes.Buffer
	err = Run(ctx, args, cli.IO{In: strings.NewReader(`{"responseSize":7}`), Out: &o, Err: &e})
	return o.String(), e.String(), err
}

// few keeps a test short.
var few = []string{"-c", "3", "-n", "2000", "-for", "2s", "-connections", "1,2"}

func quick(more ...string) []string { return append(slices.Clip(few), more...) }

func TestAMethodIsProbedByReflection(t *testing.T) {
	for name, register := range map[string]func(*grpc.Server){
		"v1": func(s *grpc.Server) { reflection.RegisterV1(s) },
		"v1alpha": func(s *grpc.Server) {
			s.RegisterService(onlyService(t, "grpc.reflection.v1alpha.ServerReflection"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{}
			addr := start(t, s, register, grpc.MaxConcurrentStreams(250))
			out, progress, err := probe(t.Context(), quick("-plaintext", addr, unary, "-d", `{"responseSize":5}`, "-H", "X-Who: me", "-H", "x-who:you")...)
			require.NoError(t, err)
			assert.EqualValues(t, 5, s.size.Load())
			assert.Equal(t, "me,you", s.header.Load())
			assert.Regexp(t, `(?m)^ +1 +\d+ .* ms +0 .* 250 `, out)
			assert.Regexp(t, `(?m)^ +2 +\d+ .* ms +0 .* 250 `, out)
			assert.Regexp(t, `\n\n(\d+: |No advice: ).*\.\n$`, out)
			assert.Contains(t, progress, "now 3 in flight\n")
		})
	}
}

func TestAMethodIsProbedByADescriptorSet(t *testing.T) {
	s := &service{}
	addr := start(t, s, isSilent)
	var set descriptorpb.FileDescriptorSet
	file := grpc_testing.File_grpc_testing_test_proto
	for i := range file.Imports().Len() {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file.Imports().Get(i)))
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	text, err := proto.Marshal(&set)
	require.NoError(t, err)
	protoset := filepath.Join(t.TempDir(), "test.binpb")
	require.NoError(t, os.WriteFile(protoset, text, 0o600))

	_, _, err = probe(t.Context(), quick("-plaintext", addr, "-protoset", protoset, "-d", "@", "/"+unary)...)
	require.NoError(t, err)
	assert.EqualValues(t, 7, s.size.Load())
	_, _, err = probe(t.Context(), quick("-plaintext", addr, unary)...)
	assert.EqualError(t, err, "the server has no reflection: give the method's types with -protoset, or no METHOD for a health check")
}

func TestWithoutAMethodItIsAHealthCheck(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	out, progress, err := probe(t.Context(), quick("-plaintext", start(t, &service{}, isSilent), "-html", page)...)
	require.NoError(t, err)
	assert.Contains(t, progress, ": grpc.health.v1.Health/Check, ")
	html, err := os.ReadFile(page)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	assert.Contains(t, string(html), lines[len(lines)-1])
}

func TestTLSIsVerifiedUnlessItMustNotBe(t *testing.T) {
	web := httptest.NewTLSServer(nil) // has a certificate for example.com
	web.Close()
	addr := start(t, &service{}, isSilent, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: web.TLS.Certificates})))
	roots := filepath.Join(t.TempDir(), "roots.pem")
	require.NoError(t, os.WriteFile(roots, pemOf(web.Certificate().Raw), 0o600))
	for _, args := range [][]string{{"-insecure"}, {"-cacert", roots}, {"-cacert", roots, "-authority", "example.com"}, {"-cacert", roots, "-servername", "example.com"}} {
		_, _, err := probe(t.Context(), quick(append(args, addr)...)...)
		assert.NoError(t, err, args)
	}
	for _, args := range [][]string{{}, {"-cacert", roots, "-servername", "example.org"}} {
		_, _, err := probe(t.Context(), quick(append(args, addr)...)...)
		assert.ErrorContains(t, err, "x509: certificate", args)
	}
}

func TestAServerThatCannotBeReachedIsNamed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	listener.Close()
	out, _, err := probe(t.Context(), "-plaintext", addr)
	require.ErrorContains(t, err, addr+": cannot be reached: ")
	require.ErrorContains(t, err, "connection refused")
	require.NotErrorAs(t, err, new(cli.InputError))
	assert.Empty(t, out)
}

func TestAMethodThatFailsAtOnceIsNotProbed(t *testing.T) {
	addr := start(t, &service{fails: codes.PermissionDenied}, reflects)
	out, _, err := probe(t.Context(), quick("-plaintext", addr, unary)...)
	assert.EqualError(t, err, unary+": rpc error: code = PermissionDenied desc = as it was told")
	assert.Empty(t, out)
}

func TestAMethodThatCannotBeProbedIsBadInput(t *testing.T) {
	addr := start(t, &service{}, reflects)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"grpc.testing.TestService/Nope"}, `METHOD: grpc.testing.TestService has no "Nope", must be one of EmptyCall, UnaryCall`},
		{[]string{"grpc.testing.TestService/FullDuplexCall"}, "METHOD: grpc.testing.TestService/FullDuplexCall is streaming, must be unary"},
		{[]string{"grpc.testing.Empty/Nope"}, "METHOD: grpc.testing.Empty is no service"},
		{[]string{unary, "-d", `{"sise":1}`}, `unknown field "sise"`},
		{[]string{unary, "-d", `{`}, "-d: not a grpc.testing.SimpleRequest: "},
	} {
		_, _, err := probe(t.Context(), quick(append([]string{"-plaintext", addr}, tt.args...)...)...)
		assert.ErrorContains(t, err, tt.want)
		assert.ErrorAs(t, err, new(cli.InputError), tt.args)
	}
}

func TestAnInterruptedProbeTellsWhatItMeasured(t *testing.T) {
	s := &service{takes: 5 * time.Millisecond}
	addr := start(t, s, reflects)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	progress := &until{text: "round ", then: cancel}
	var out bytes.Buffer
	err := Run(ctx, []string{"-plaintext", addr, unary, "-for", "10m", "-c", "5", "-connections", "1,2"}, cli.IO{Out: &out, Err: progress})
	require.ErrorIs(t, err, context.Canceled)
	assert.Contains(t, out.String(), "Interrupted: this is what was measured so far\n")
	assert.Regexp(t, `(?m)^ +1 +[1-9]\d* `, out.String())
	assert.Regexp(t, `(?m)^ +2 +[1-9]\d* +\S+ ms +\S+ ms +0 `, out.String(), "what was interrupted has not failed")
}

// until calls then when that text is written.
type until struct {
	text string
	then func()
}

func (u *until) Write(p []byte) (int, error) {
	if strings.Contains(string(p), u.text) {
		u.then()
	}
	return len(p), nil
}

func TestItMakesNoMoreRPCsThanItMay(t *testing.T) {
	var calls atomic.Int64
	counted := func(ctx context.Context, r any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		calls.Add(1)
		return handle(ctx, r)
	}
	addr := start(t, &service{}, reflects, grpc.UnaryInterceptor(counted))
	_, _, err := probe(t.Context(), "-plaintext", addr, unary, "-n", "700", "-c", "20")
	require.NoError(t, err)
	assert.LessOrEqual(t, calls.Load(), int64(700))
	assert.Greater(t, calls.Load(), int64(300))
}

// What it is depends on what else the machine does; TestTheAdviceHasItsReason has the numbers fixed.
func TestTheStreamLimitIsMeasuredAndAdviceGiven(t *testing.T) {
	addr := start(t, &service{takes: 100 * time.Millisecond}, reflects, grpc.MaxConcurrentStreams(10))
	out, _, err := probe(t.Context(), "-plaintext", addr, unary, "-c", "30", "-for", "8s", "-connections", "1,2,4,8")
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^ +1 .* 10 +\d+ % .*$`, out, "the row of one connection")
	assert.Regexp(t, `(?m)^(\d+|No advice): .*\.$`, out)
}

func ExampleRun_help() {
	_ = Run(context.Background(), []string{"-h"}, cli.IO{Out: firstLine{}})
	// Output: subpool probe TARGET [METHOD] [-d JSON] [-c N] [flags]
}

type firstLine struct{}

func (firstLine) Write(p []byte) (int, error) {
	if line, _, found := strings.Cut(string(p), "\n"); found && strings.HasPrefix(line, "subpool") {
		fmt.Println(line)
	}
	return len(p), nil
}
