package resolver

import (
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/config"
)

type sizeKey struct{}

// WithSize returns endpoint with the number of subchannels that the policy is to
// keep to it: exactly n, whatever the settings say of sizes. Any resolver may
// stamp its endpoints so that, say, bigger nodes get more. An n below 1 takes the
// stamp away; above [config.MaxSubchannels] it counts as that many. Behind an HTTP
// proxy gRPC loses the stamp, and the settings hold.
func WithSize(endpoint resolver.Endpoint, n int) resolver.Endpoint {
	endpoint.Attributes = endpoint.Attributes.WithValue(sizeKey{}, min(max(n, 0), config.MaxSubchannels))
	return endpoint
}

// Size returns the size that [WithSize] gave to endpoint; ok is false if there
// is none.
func Size(endpoint resolver.Endpoint) (n int, ok bool) {
	n, _ = endpoint.Attributes.Value(sizeKey{}).(int)
	return n, n > 0
}
