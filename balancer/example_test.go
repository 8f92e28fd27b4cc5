package balancer_test

import (
	"fmt"

	"google.golang.org/grpc/stats"

	"github.com/grpc-subpool/subpool/balancer"
)

// Metrics that are off by default are added by name to those that a recorder takes, as in
// opentelemetry.MetricsOptions.Metrics.
func ExampleMetrics() {
	set := stats.NewMetricSet("grpc.client.attempt.started").Add(balancer.Metrics()...)
	fmt.Println(set.Metrics()["grpc.client.attempt.started"], set.Metrics()["subpool.subchannels"])
	// Output:
	// true true
}
