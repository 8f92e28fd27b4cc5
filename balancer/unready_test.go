package balancer_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// waits makes one RPC without a deadline that matters, and tells how long it took.
func (c client) waits() (code codes.Code, took time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	begin := time.Now()
	_, err := grpc_testing.NewTestServiceClient(c).EmptyCall(ctx, &grpc_testing.Empty{})
	return status.Code(err), time.Since(begin)
}

// Dials that hang are given up after 20 s. The RPC has an attempt at once where those of before have lasted for
// 3 s, else when they have; and it fails with that, as with pick_first, whatever is dialled meanwhile.
//
// Guards: `s.dialled.After(o.failed)` in lifecycle.Endpoint.pending: 36 s to 300 s.
func TestAnRPCFailsWithItsOwnAttempt(t *testing.T) {
	for _, size := range []int{1, 2, 4, 16} {
		for _, comes := range []time.Duration{500 * time.Millisecond, 5 * time.Second, 15 * time.Second} {
			for what, before := range map[string]func(c client){
				"all are lost at once": func(c client) {},
				"one is lost before": func(c client) {
					c.Break(harness.Refuse)
					c.Cut(c.OpenConns()[0])
					time.Sleep(100 * time.Millisecond)
					c.Break(harness.None)
				},
			} {
				t.Run(fmt.Sprintf("%s, size %d, after %v", what, size, comes), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := harness.Start(t, harness.Options{})
						away, dial := dialsThatHang(s)
						c := client{t, channelOf(t, s, resolverOf("a:1"), harness.Policy(fmt.Sprintf(`{"size":%d}`, size)), dial), s}
						require.NoError(t, c.call())
						time.Sleep(time.Minute)
						if size > 1 {
							before(c)
						}
						away.Store(true)
						c.Cut()
						time.Sleep(comes)
						code, took := c.waits()
						require.Equal(t, codes.Unavailable, code)
						require.LessOrEqual(t, took, 20*time.Second+max(0, 3*time.Second-comes))
					})
				})
			}
		}
	}
}

// The renewal's attempt began while the connections were READY, so no RPC waits for it.
//
// Guards: `!e.has(Ready)` in lifecycle.Endpoint.dial, and `s.forRPC = false` in Lost: 17 s, and UNAVAILABLE.
func TestNoRPCIsLeftWithARenewalThatHangs(t *testing.T) {
	for _, refused := range []bool{false, true} {
		for _, size := range []int{1, 2} {
			t.Run(fmt.Sprintf("size %d, refused before %v", size, refused), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := harness.Start(t, harness.Options{})
					away, dial := dialsThatHang(s)
					settings := fmt.Sprintf(`{"size":%d,"maxLifetime":"60s","lifetimeJitter":0}`, size)
					c := client{t, channelOf(t, s, resolverOf("a:1", "b:1"), harness.Policy(settings), dial, grpc.WithIdleTimeout(0)), s}
					require.NoError(t, c.call())
					time.Sleep(55 * time.Second)
					if refused {
						c.Break(harness.Refuse)
						time.Sleep(5500 * time.Millisecond)
						c.Break(harness.None)
					}
					away.Store(true)
					time.Sleep(8 * time.Second)
					away.Store(false)
					c.Cut()
					synctest.Wait()
					code, took := c.waits()
					require.Equal(t, codes.OK, code)
					require.LessOrEqual(t, took, 3*time.Second)
				})
			})
		}
	}
}
