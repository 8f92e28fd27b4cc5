package subpool

import (
	grpcbalancer "google.golang.org/grpc/balancer"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/balancer"
	"github.com/grpc-subpool/subpool/resolver"
)

func init() { //nolint:gochecknoinits // the blank import is how a policy is chosen in gRPC
	grpcbalancer.Register(balancer.NewBuilder())
	grpcresolver.Register(resolver.NewBuilder())
}
