package balancer_test

import (
	"fmt"

	"google.golang.org/grpc/stats"

	"github.com/grpc-subpool/subpool/balancer"
)

// Metrics that are off by default are added by name to those that a recorder takes, as in
// opentelemetry.MetricsOptions.Metrics.
func ExampleMetrics() {
	names := stats.NewMetricSet(balancer.Metrics()...)
	fmt.Println(len(names.Metrics()) == len(balancer.Metrics()))
	fmt.Println(balancer.Metrics()[0])
	// Output:
	// true
	// subpool.subchannels
}
