package contender

import (
	"fmt"

	_ "github.com/GoogleCloudPlatform/grpc-gcp-go/grpcgcp" // registers grpc_gcp
	"google.golang.org/grpc"

	"github.com/grpc-subpool/subpool"
)

// openGCP makes a channel with Google's policy grpc_gcp.
func openGCP(s Settings) (Pool, error) {
	unresponsive := ""
	if s.Unresponsive > 0 {
		unresponsive = fmt.Sprintf(`,"unresponsiveDetectionMs":%d,"unresponsiveCalls":2`, s.Unresponsive.Milliseconds())
	}
	return dialReady(s, grpc.WithDefaultServiceConfig(fmt.Sprintf(
		`{"loadBalancingConfig":[{"grpc_gcp":{"channelPool":{"minSize":%d,"maxSize":%d,"maxConcurrentStreamsLowWatermark":%d%s}}}]}`,
		s.Min, s.Max, s.Streams, unresponsive))) // 0 is its default, 100
}

func openSubpool(s Settings) (Pool, error) {
	c := subpool.DefaultConfig()
	c.MinSize, c.MaxSize = s.Min, s.Max
	if s.Streams > 0 {
		c.TargetStreams = s.Streams
	}
	c.UnresponsiveTimeout, c.MaxLifetime = s.Unresponsive, s.MaxLifetime
	return dialReady(s, grpc.WithDefaultServiceConfig(c.ServiceConfig()))
}
