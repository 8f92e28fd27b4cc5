package clients

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpc-subpool/subpool/internal/harness"
)

const (
	wait = time.Minute
	tick = 5 * time.Millisecond
)

// What the recipes take for given.
var (
	pool  = harness.Policy(harness.Renewing)
	creds = grpc.WithTransportCredentials(insecure.NewCredentials())
)

// target is the same pool, in a target.
func target(address string) string {
	return "subpool:///" + address + "?size=4&maxLifetime=0.3s&lifetimeJitter=0"
}

func start(t *testing.T, register func(grpc.ServiceRegistrar)) *harness.Server {
	return harness.Start(t, harness.Options{TCP: true, Register: register})
}
