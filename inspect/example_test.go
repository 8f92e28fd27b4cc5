package inspect_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/inspect"
)

// A client that has a new certificate lets its connection be replaced by one that uses it,
// and sees when that is done.
func ExampleHandle_Recycle() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	cc, err := grpc.NewClient("subpool:///"+listener.Addr().String()+"?size=1",
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := grpc_health_v1.NewHealthClient(cc).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
		log.Fatal(err)
	}

	var handle inspect.Handle = subpool.Pools()[0] //nolint:staticcheck // the type is what the example is about
	handle.Recycle()
	for ctx.Err() == nil {
		if pool, ok := handle.Snapshot(); ok && pool.Totals.Retired["recycle"] == 1 {
			fmt.Println("a new connection has taken over")
			return
		}
		time.Sleep(time.Millisecond)
	}
	// Output: a new connection has taken over
}
