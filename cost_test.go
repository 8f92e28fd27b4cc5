//go:build unix

package subpool_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/internal/harness"
)

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
