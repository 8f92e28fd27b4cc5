//go:build unix

package subpool_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// BenchmarkSaturated is the processor time of an RPC, client and server together,
// while that many others wait for a stream: of a pool at its maximum, and of a plain
// channel to a server that allows as many streams on one connection. Flat is good:
// an RPC must not pay for those that wait.
//
//	go test -run '^$' -bench Saturated -benchtime 5x .
func BenchmarkSaturated(b *testing.B) {
	for _, side := range []struct {
		name, config string
		limit        uint32
	}{
		{"plain", `{}`, 40},
		{"pool", harness.Policy(`{"size":4}`), 10},
	} {
		for _, waiting := range []int{100, 1000, 10000} {
			b.Run(fmt.Sprintf("%s/waiting=%d", side.name, waiting), func(b *testing.B) {
				s := harness.Start(b, harness.Options{TCP: true, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(side.limit)}})
				cc := s.NewClient(b, side.config)
				rpc := func() error { // no deadline: gRPC does not let RPCs wait in turn
					_, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(b.Context(), &grpc_testing.Empty{}, grpc.WaitForReady(true))
					return err
				}
				callers := waiting + 40
				rpcs := max(40000, 20*callers)
				require.Empty(b, each(callers, callers, rpc))
				var costs []float64
				for range b.N {
					before := cpuTime()
					require.Empty(b, each(callers, rpcs, rpc))
					costs = append(costs, float64((cpuTime()-before).Microseconds())/float64(rpcs))
				}
				slices.Sort(costs)
				b.ReportMetric(costs[len(costs)/2], "cpu-µs/RPC")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkCPUPerRPC compares the processor time of an RPC, client and server
// together, over a plain channel and over a pool that is not needed: 64 callers
// and a server that answers at once. Each iteration is a slice of both, in turn,
// each on a new channel, for connections differ by some percent; the lower
// quartile is what other programs on the machine disturbed least. The control
// compares plain channels with plain channels: so much is noise.
//
//	go test -run '^$' -bench CPUPerRPC -benchtime 60x .
func BenchmarkCPUPerRPC(b *testing.B) {
	for _, side := range []struct{ name, config string }{
		{"control", `{}`},
		{"pool", harness.Policy(`{"minSize":1,"maxSize":16}`)},
		{"size1", harness.Policy(`{"size":1}`)},
	} {
		b.Run(side.name, func(b *testing.B) {
			var plain, other []float64
			for range b.N {
				plain = append(plain, sliceCost(b, `{}`))
				other = append(other, sliceCost(b, side.config))
			}
			quartile := func(costs []float64) float64 {
				slices.Sort(costs)
				return costs[len(costs)/4]
			}
			b.ReportMetric(quartile(plain), "plain-µs/RPC")
			b.ReportMetric(quartile(other), side.name+"-µs/RPC")
			b.ReportMetric(quartile(other)/quartile(plain), side.name+"/plain")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// sliceCost returns the processor time in µs of an RPC on a new channel.
func sliceCost(b *testing.B, serviceConfig string) float64 {
	s := harness.Start(b, harness.Options{TCP: true})
	cc := s.NewClient(b, serviceConfig)
	defer func() { _ = cc.Close() }()
	require.Empty(b, each(64, 640, func() error { return emptyCall(cc) }))
	const rpcs = 6400
	before := cpuTime()
	require.Empty(b, each(64, rpcs, func() error { return emptyCall(cc) }))
	cost := float64((cpuTime() - before).Microseconds()) / rpcs
	require.Equal(b, 1, s.Accepted(), "the pool was not needed")
	return cost
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
