package subpool_test

import (
	"context"
	"errors"
	"math"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// A single dialer has one connection; asked for a second it refuses, or gives the first again.
type single struct {
	*harness.Server
	again bool
	mu    sync.Mutex
	one   net.Conn
	dials []time.Time
}

func (l *single) dial(ctx context.Context, address string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dials = append(l.dials, time.Now())
	if l.one != nil && l.again {
		return l.one, nil
	}
	if l.one != nil {
		return nil, errors.New("only one connection allowed")
	}
	var err error
	l.one, err = l.Server.Dial(ctx, address)
	return l.one, err
}

// alike tells the same of both kinds of tunnel, in virtual time. The server allows ten streams,
// and each takes 50 ms.
func alike(t *testing.T, tell func(t *testing.T, l *single)) {
	for name, again := range map[string]bool{"refuses a second": false, "gives the same again": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tell(t, &single{again: again, Server: harness.Start(t, harness.Options{
					Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(10)},
					Handle: func(context.Context, int) error { time.Sleep(50 * time.Millisecond); return nil },
				})})
			})
		})
	}
}

func throughTunnel(dial func(context.Context, string) (net.Conn, error)) (*grpc.ClientConn, error) {
	creds := grpc.WithTransportCredentials(insecure.NewCredentials())
	// docs: one connection
	cc, err := grpc.NewClient("passthrough:///tunnel", creds,
		grpc.WithContextDialer(dial),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"subpool":{"size":1,"idleTimeout":"0s","maxLifetime":"0s"}}]}`),
		grpc.WithIdleTimeout(0), // or gRPC closes it after 30 minutes without an RPC
	)
	// end
	return cc, err
}

// call makes RPCs from 15 callers at a time, every 20 seconds.
func call(t *testing.T, cc *grpc.ClientConn, d time.Duration) (failed int) {
	var mu sync.Mutex
	var callers sync.WaitGroup
	for range 15 {
		callers.Go(func() {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Second) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				_, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(ctx, &grpc_testing.Empty{})
				cancel()
				if err != nil {
					mu.Lock()
					failed++
					mu.Unlock()
				}
			}
		})
	}
	callers.Wait()
	return failed
}

func TestADialerWithOneConnectionIsAskedOnceWhileItLives(t *testing.T) {
	alike(t, func(t *testing.T, l *single) {
		cc, err := throughTunnel(l.dial)
		require.NoError(t, err)
		defer cc.Close()
		require.Zero(t, call(t, cc, time.Hour))
		time.Sleep(5 * time.Hour)
		require.Zero(t, call(t, cc, time.Hour))
		synctest.Wait() // a dial may be under way
		require.Len(t, l.dials, 1)
	})
}

// After the loss it is asked at once, once more for the first RPC, and then as the connection-backoff of
// gRPC says: after 1 s, 1.6 times as much each time, at most 120 s, give or take a fifth.
func TestADialerWhoseOneConnectionIsLostIsAskedAsTheBackoffAllows(t *testing.T) {
	alike(t, func(t *testing.T, l *single) {
		cc, err := throughTunnel(l.dial)
		require.NoError(t, err)
		defer cc.Close()
		require.Zero(t, call(t, cc, time.Minute))
		l.Cut()
		require.NotZero(t, call(t, cc, time.Hour))
		synctest.Wait() // a dial may be under way
		require.Greater(t, len(l.dials), 30)
		for i, at := range l.dials[3:] {
			least := 0.8 * math.Min(math.Pow(1.6, float64(i)), 120)
			require.GreaterOrEqual(t, at.Sub(l.dials[i+2]).Seconds(), least, "attempt %d", i)
		}
	})
}

// Settings that want more than the dialer has: growth, renewal and repair share one backoff.
func TestADialerThatRefusesASecondConnectionIsNotFlooded(t *testing.T) {
	for _, settings := range []string{`{}`, `{"size":4}`, `{"size":1}`} {
		t.Run(settings, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &single{Server: harness.Start(t, harness.Options{
					Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(10)},
					Handle: func(context.Context, int) error { time.Sleep(50 * time.Millisecond); return nil },
				})}
				cc := l.NewClient(t, harness.Policy(settings), grpc.WithContextDialer(l.dial))
				failed := call(t, cc, 2*time.Hour)
				synctest.Wait() // a dial may be under way
				require.LessOrEqual(t, len(l.dials), 90)
				require.Zero(t, failed)
			})
		})
	}
}
