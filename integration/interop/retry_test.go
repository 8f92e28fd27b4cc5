package interop_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// retrying is a service config with a retry policy beside subpool.
func retrying(settings string) string {
	return `{"methodConfig":[{"name":[{}],"retryPolicy":{
		"maxAttempts":5, "initialBackoff":"0.01s", "maxBackoff":"0.1s", "backoffMultiplier":2, "retryableStatusCodes":["UNAVAILABLE"]
	}}],"loadBalancingConfig":[{"subpool":` + settings + `}]}`
}

// earlier is how often the RPC was tried before, as gRPC tells the server.
func earlier(ctx context.Context) int {
	md, _ := metadata.FromIncomingContext(ctx)
	if tries := md.Get("grpc-previous-rpc-attempts"); len(tries) == 1 {
		n, _ := strconv.Atoi(tries[0])
		return n
	}
	return 0
}

// callers make that many RPCs each, and return the errors.
func callers(n, each int, rpc func() error) (failed []error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range n {
		wg.Go(func() {
			for range each {
				if err := rpc(); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// Every RPC fails twice. The third attempt succeeds, and each attempt is one RPC to
// the pool, also while it renews its connections.
func TestARetryPolicyWorksBesideThePolicy(t *testing.T) {
	for _, settings := range []string{`{"size":4}`, `{"size":4,"picker":"round_robin"}`, `{"size":4,"maxLifetime":"0.5s"}`} {
		t.Run(settings, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := harness.Start(t, harness.Options{Handle: func(ctx context.Context, _ int) error {
					time.Sleep(5 * time.Millisecond)
					if earlier(ctx) < 2 {
						return status.Error(codes.Unavailable, "not yet")
					}
					return nil
				}})
				cc := s.NewClient(t, retrying(settings))
				require.Empty(t, callers(20, 100, func() error { return emptyCall(cc) }))
				attempts := 0
				for _, n := range s.Calls() {
					attempts += n
				}
				require.Equal(t, 20*100*3, attempts)
				t.Logf("%d RPCs in %d attempts over %d connections", 20*100, attempts, s.Accepted())
			})
		})
	}
}

// What a server answers to the last attempt is the answer.
func TestARetryPolicyGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{Handle: func(ctx context.Context, _ int) error {
			return status.Errorf(codes.Unavailable, "after %d", earlier(ctx))
		}})
		err := emptyCall(s.NewClient(t, retrying(`{"size":4}`)))
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.ErrorContains(t, err, "after 4")
	})
}

// Connections break with RPCs on them, nine times a second, while connections are renewed.
// With a retry policy the callers see none of it: gRPC retries an RPC that has no answer yet.
// One whose answer was read in part is not retried, so none may end just when a
// connection breaks: no sum of 20 ms is a multiple of 107 ms before the twentieth.
func TestARetryPolicyHidesConnectionsThatBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tried atomic.Int64
		s := harness.Start(t, harness.Options{Handle: func(ctx context.Context, _ int) error {
			if earlier(ctx) > 0 {
				tried.Add(1)
			}
			time.Sleep(20 * time.Millisecond)
			return nil
		}})
		cc := s.NewClient(t, retrying(`{"size":4,"maxLifetime":"1s"}`))
		stop := make(chan struct{})
		var breaking sync.WaitGroup
		breaking.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(107 * time.Millisecond):
					s.Cut()
				}
			}
		})
		failed := callers(20, 200, func() error { return emptyCall(cc) })
		close(stop)
		breaking.Wait()
		require.Empty(t, failed)
		require.NotZero(t, tried.Load())
		t.Logf("%d RPCs, 0 failed, %d attempts of them were retries, %d connections made", 20*200, tried.Load(), s.Accepted())
	})
}
