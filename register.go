package subpool

import (
	grpcbalancer "google.golang.org/grpc/balancer"

	"github.com/grpc-subpool/subpool/balancer"
)

func init() {
	grpcbalancer.Register(balancer.NewBuilder())
}
