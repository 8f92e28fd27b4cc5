// Package secrets is apart because what gRPC logs is set for a whole process.
package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// Every secret has this in it.
const secret = "sesame"

// logLines are everything that is logged, at every level.
type logLines struct {
	sync.Mutex
	lines []string
}

var log = new(logLines)

func init() {
	grpclog.SetLoggerV2(log)
	r := manual.NewBuilderWithScheme("names")
	r.InitialState(resolver.State{Addresses: []resolver.Address{{Addr: "server:443"}}})
	resolver.Register(r)
}

func (k *logLines) add(line string) {
	k.Lock()
	defer k.Unlock()
	k.lines = append(k.lines, line)
}

// ours are the lines of subpool's own component.
func (k *logLines) ours() (lines []string) {
	k.Lock()
	defer k.Unlock()
	for _, line := range k.lines {
		if strings.HasPrefix(line, "[subpool]") {
			lines = append(lines, line)
		}
	}
	return lines
}

func (k *logLines) Info(args ...any)                 { k.add(fmt.Sprint(args...)) }
func (k *logLines) Infoln(args ...any)               { k.add(fmt.Sprintln(args...)) }
func (k *logLines) Infof(format string, args ...any) { k.add(fmt.Sprintf(format, args...)) }

func (k *logLines) Warning(args ...any)                 { k.Info(args...) }
func (k *logLines) Warningln(args ...any)               { k.Infoln(args...) }
func (k *logLines) Warningf(format string, args ...any) { k.Infof(format, args...) }
func (k *logLines) Error(args ...any)                   { k.Info(args...) }
func (k *logLines) Errorln(args ...any)                 { k.Infoln(args...) }
func (k *logLines) Errorf(format string, args ...any)   { k.Infof(format, args...) }
func (k *logLines) Fatal(args ...any)                   { k.Info(args...) }
func (k *logLines) Fatalln(args ...any)                 { k.Infoln(args...) }
func (k *logLines) Fatalf(format string, args ...any)   { k.Infof(format, args...) }
func (k *logLines) V(l int) bool                        { return l <= 99 }

// token are credentials for each RPC.
type token struct{ missing *atomic.Bool }

func (c token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if c.missing.Load() {
		return nil, errors.New("no token for " + secret)
	}
	return map[string]string{"authorization": "Bearer " + secret}, nil
}
func (token) RequireTransportSecurity() bool { return false }

// A caller makes RPCs full of secrets, and keeps the errors that are ours.
type caller struct {
	t         *testing.T
	cc        *grpc.ClientConn
	tokenless atomic.Bool
	mu        sync.Mutex
	ours      []string
}

// call tells the server what to do with the RPC.
func (c *caller) call(do string, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "do", do, "x-"+secret, secret, secret+"-bin", secret)
	_, err := grpc_testing.NewTestServiceClient(c.cc).EmptyCall(ctx, &grpc_testing.Empty{})
	if err != nil && strings.Contains(err.Error(), "subpool:") {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ours = append(c.ours, err.Error())
	}
	return err
}

func (c *caller) callAtOnce(n int, do string, within time.Duration) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() { _ = c.call(do, within) })
	}
	all.Wait()
}

// serve does what it is told, and answers with secrets of its own.
func serve(ctx context.Context, _ int) error {
	md, _ := metadata.FromIncomingContext(ctx)
	_ = grpc.SetTrailer(ctx, metadata.Pairs("trailer", secret))
	switch md.Get("do")[0] {
	case "fail":
		return status.Error(codes.Unavailable, "the server says "+secret)
	case "hang":
		<-ctx.Done()
	}
	return nil
}

// tell runs a pool with these settings in virtual time, and returns the errors of ours.
func tell(t *testing.T, settings string, story func(*caller, *harness.Server)) []string {
	c := &caller{t: t}
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{Handle: serve, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}})
		var err error
		c.cc, err = grpc.NewClient("subpool:///names://user:"+secret+"@host/path?"+settings,
			append(s.DialOptions(`{}`), grpc.WithPerRPCCredentials(token{&c.tokenless}))...)
		require.NoError(t, err)
		defer c.cc.Close()
		require.NoError(t, c.call("answer", time.Second))
		synctest.Wait() // until all are there
		story(c, s)
		shown, ok := subpool.Pools()[0].Snapshot()
		require.True(t, ok)
		js, err := json.Marshal(shown)
		require.NoError(t, err)
		require.NotEmpty(t, shown.Decisions)
		c.ours = append(c.ours, string(js))
	})
	return c.ours
}

// All that a pool ever logs is logged here: growth, renewal, a connection that is closed by
// force, one that is dark, refusal, a lost server, bad and unknown settings. Metadata, credentials,
// messages, and what a server or the credentials say of an RPC are in none of it.
func TestNoLineAndNoErrorOfOursHasASecret(t *testing.T) {
	errs := tell(t, "minSize=1&maxSize=3&maxLifetime=5s&drainTimeout=1s&maxPending=1", func(c *caller, s *harness.Server) {
		require.Error(t, c.call("fail", time.Second))
		c.tokenless.Store(true)
		require.ErrorContains(t, c.call("answer", time.Second), secret, "gRPC tells its caller")
		c.tokenless.Store(false)
		c.callAtOnce(10, "hang", 20*time.Second) // refused by maxPending, or closed by force
		s.Break(harness.Refuse)
		s.Cut()
		time.Sleep(time.Second)
		require.Error(t, c.call("answer", time.Second))
	})
	errs = append(errs, tell(t, "size=2&unresponsiveTimeout=1s", func(c *caller, s *harness.Server) {
		s.Darken(harness.Swallow, 1, 2)
		for range 5 {
			c.callAtOnce(4, "answer", 900*time.Millisecond)
		}
	})...)
	for _, settings := range []string{`{"size":0}`, `{"colour":"` + secret + `"}`} {
		cc, err := grpc.NewClient("passthrough:///server", grpc.WithDefaultServiceConfig(harness.Policy(settings)),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err == nil {
			defer cc.Close()
		}
	}

	told := append(log.ours(), errs...)
	t.Logf("%d lines and %d errors", len(told)-len(errs), len(errs))
	story := strings.Join(told, "")
	for _, what := range []string{
		"subchannel 1 is now checking", "is closed with", "has answered nothing", "maxPending: 1",
		"last connection error", "size: 0", `unknown setting "colour"`, "://…@host",
	} {
		require.Contains(t, story, what)
	}
	for _, line := range told {
		require.NotContains(t, line, secret)
	}
}

// What a dialer says of its failure is in the errors of RPCs, as with gRPC's own
// policies: it is why they fail. It is in no line of ours.
func TestWhatTheDialerSaysIsForTheCallerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		cc := s.NewClient(t, harness.Policy(`{"size":2}`), grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			return nil, errors.New("the proxy does not take " + secret)
		}))
		c := &caller{t: t, cc: cc}
		require.ErrorContains(t, c.call("answer", time.Second), "the proxy does not take "+secret)
		require.NotContains(t, strings.Join(log.ours(), "\n"), secret)
	})
}
