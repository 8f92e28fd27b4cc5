package picker_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	_ "google.golang.org/grpc/balancer/leastrequest"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

var info = balancer.PickInfo{Ctx: context.Background()}

// BenchmarkPick times Pick and Done on the picker that a policy really
// publishes, with that many READY connections. subpool has them to one address;
// the stock policies need as many addresses, for they make one of copies.
func BenchmarkPick(b *testing.B) {
	for _, n := range []int{1, 4, 16, 256, 1024} {
		for _, policy := range []struct{ name, config string }{
			{"round_robin", `{"round_robin":{}}`},
			{"least_request_experimental", `{"least_request_experimental":{}}`},
			{"subpool=round_robin", fmt.Sprintf(`{"subpool":{"size":%d,"picker":"round_robin"}}`, n)},
			{"subpool=least_in_flight", fmt.Sprintf(`{"subpool":{"size":%d}}`, n)},
		} {
			b.Run(fmt.Sprintf("conns=%d/%s", n, policy.name), func(b *testing.B) {
				p := publishedPicker(b, policy.config, n)
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						res, err := p.Pick(info)
						if err != nil {
							b.Error(err)
							return
						}
						if res.Done != nil {
							res.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
						}
					}
				})
			})
		}
	}
}

// publishedPicker connects a channel of that policy n times, and returns the
// picker that spreads over all n.
func publishedPicker(b *testing.B, policy string, n int) balancer.Picker {
	s := harness.Start(b, harness.Options{})
	parent := harness.Parent(b.Name())
	addresses := make([]resolver.Address, n)
	for i := range addresses {
		addresses[i].Addr = fmt.Sprint("server:", i)
	}
	if strings.HasPrefix(policy, `{"subpool"`) {
		addresses = addresses[:1]
	}
	r := manual.NewBuilderWithScheme("bench")
	r.InitialState(resolver.State{Addresses: addresses})
	cc, err := grpc.NewClient("bench:///", s.DialOptions(parent.Policy(policy), grpc.WithResolvers(r))...)
	require.NoError(b, err)
	b.Cleanup(func() { _ = cc.Close() })
	cc.Connect()
	for {
		if p := parent.Picker(); p != nil && spreads(p, n) {
			return p
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// spreads reports whether p picks n different connections. Random picks find
// the last of 1,024 only after a while, so it gives up late.
func spreads(p balancer.Picker, n int) bool {
	seen := make(map[balancer.SubConn]bool)
	for range 100 * n {
		res, err := p.Pick(info)
		if err != nil {
			return false
		}
		if res.Done != nil {
			res.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
		}
		if seen[res.SubConn] = true; len(seen) == n {
			return true
		}
	}
	return false
}
