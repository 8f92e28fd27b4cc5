package resolver_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	grpcresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/resolver"
)

// What a target comes to, and what a misspelt one gets.
func Example() {
	e, err := subpool.Explain("subpool:///svc.example.com:443?size=8&maxLifetime=10m")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Config.MinSize, e.Config.MaxSize, e.Config.MaxLifetime)

	_, err = subpool.Explain("subpool:///svc.example.com:443?maxSize=0")
	fmt.Println(err)
	// Output:
	// 8 8 10m0s
	// subpool: target "subpool:///svc.example.com:443?maxSize=0": maxSize: 0, must be 1 to 1024
}

// A resolver of one's own that knows which node is big: that gets three connections, and
// each other node as many as the settings say.
func ExampleWithSize() {
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	defer server.Stop()
	endpoint := func() grpcresolver.Endpoint {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		go func() { _ = server.Serve(listener) }()
		return grpcresolver.Endpoint{Addresses: []grpcresolver.Address{{Addr: listener.Addr().String()}}}
	}
	big, small := resolver.WithSize(endpoint(), 3), endpoint()

	nodes := manual.NewBuilderWithScheme("nodes")
	nodes.InitialState(grpcresolver.State{Endpoints: []grpcresolver.Endpoint{big, small}})
	cc, err := grpc.NewClient("nodes:///", grpc.WithResolvers(nodes),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"subpool":{"size":1}}]}`))
	if err != nil {
		log.Fatal(err)
	}
	defer cc.Close()
	if _, err := grpc_health_v1.NewHealthClient(cc).Check(context.Background(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		log.Fatal(err)
	}
	for _, handle := range subpool.Pools() {
		if pool, ok := handle.Snapshot(); ok {
			for _, e := range pool.Endpoints {
				fmt.Println(e.Wanted)
			}
		}
	}
	// Output:
	// 3
	// 1
}
