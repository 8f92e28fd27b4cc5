package picker_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/picker"
)

// always is a picker that takes whichever connection it was built with first.
type always struct{ sc balancer.SubConn }

func (a always) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	return balancer.PickResult{SubConn: a.sc}, nil
}

type alwaysBuilder struct{}

func (alwaysBuilder) Build(info base.PickerBuildInfo) balancer.Picker {
	for sc := range info.ReadySCs {
		return always{sc}
	}
	return base.NewErrPicker(balancer.ErrNoSubConnAvailable)
}

func init() { picker.Register("always", alwaysBuilder{}) }

// A picker of one's own is named in the settings. The pool counts its RPCs, and sees to it
// that a connection that is being replaced gets no more of them.
func ExampleRegister() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()

	cc, err := grpc.NewClient("subpool:///"+listener.Addr().String()+"?size=2&picker=always",
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer cc.Close()
	answer, err := grpc_health_v1.NewHealthClient(cc).Check(context.Background(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.GetStatus())
	// Output: SERVING
}
