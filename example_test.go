package subpool_test

import (
	"context"
	"fmt"
	"log"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/grpc-subpool/subpool" // registers the policy
)

// A channel with eight connections to each address of its target.
func Example() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()

	cc, err := grpc.NewClient("dns:///"+listener.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"subpool":{"size":8}}]}`))
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

// Bad settings are an error of NewClient that says what is wrong.
func Example_badSettings() {
	_, err := grpc.NewClient("dns:///svc.example.com:443",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"subpool":{"minSize":8,"maxSize":2}}]}`))
	fmt.Println(err)
	// Output:
	// grpc: the provided default service config is invalid: error parsing config for policy "subpool": subpool: maxSize: 2, must be at least minSize (8)
}

// What the pools of a program are doing: here one, of three connections.
func ExamplePools() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	cc, err := grpc.NewClient("subpool:///"+listener.Addr().String()+"?size=3",
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer cc.Close()
	if _, err := grpc_health_v1.NewHealthClient(cc).Check(context.Background(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		log.Fatal(err)
	}

	for _, handle := range subpool.Pools() {
		pool, ok := handle.Snapshot()
		if !ok {
			continue // closed meanwhile
		}
		for _, endpoint := range pool.Endpoints {
			fmt.Println(pool.State, endpoint.Wanted, "wanted, at most", endpoint.Budget.MostConnections, "at a time")
		}
		for _, decision := range pool.Decisions {
			if decision.What == "grew" {
				why, _, _ := strings.Cut(decision.Why, " (")
				fmt.Println(why)
			}
		}
		handle.Recycle() // say, for a new certificate
	}
	// Output:
	// READY 3 wanted, at most 4 at a time
	// grew 0→3: minSize 3
}

// All connections first, then the streams: else the first connection that is READY has all
// of them.
func ExampleWaitReady() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	cc, err := grpc.NewClient("subpool:///"+listener.Addr().String()+"?size=3",
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer cc.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := subpool.WaitReady(ctx, cc); err != nil {
		log.Print(err) // how many are READY, and why the last attempt failed
		return
	}
	if _, err := grpc_health_v1.NewHealthClient(cc).Watch(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
		log.Print(err)
		return
	}
	shown, _ := subpool.Pools()[0].Snapshot()
	fmt.Println(len(shown.Endpoints[0].Subchannels), "subchannels,", shown.Totals.Opened, "opened")
	// Output: 3 subchannels, 3 opened
}

// What `{}` asks for.
func ExampleDefaultConfig() {
	c := subpool.DefaultConfig()
	fmt.Println(c.MinSize, "to", c.MaxSize, "for each address, by", c.TargetStreams, "streams")
	fmt.Println(c.Picker, c.IdleTimeout, c.MaxLifetime)
	// Output:
	// 1 to 4 for each address, by 100 streams
	// least_in_flight 4m0s 1h0m0s
}

// What may be joined to the metrics of gRPC.
func ExampleMetrics() {
	names := slices.Sorted(maps.Keys(subpool.Metrics().Metrics()))
	fmt.Println(strings.Join(names, "\n"))
	// Output:
	// subpool.calls.force_closed
	// subpool.calls.full
	// subpool.calls.in_flight
	// subpool.calls.wait_duration
	// subpool.calls.waiting
	// subpool.connections.drain_duration
	// subpool.connections.opened
	// subpool.connections.retired
	// subpool.growth
	// subpool.renewals.failed
	// subpool.stream_limit
	// subpool.subchannels
	// subpool.subchannels.missing
}

// Under a policy that does not pass the options of subchannels on, the credentials tell the
// pool of its connections. They do no harm elsewhere.
func ExampleCredentials() {
	cc, err := grpc.NewClient("subpool:///svc.example.com:443?size=2",
		grpc.WithTransportCredentials(subpool.Credentials(credentials.NewTLS(nil))))
	if err != nil {
		log.Fatal(err)
	}
	defer cc.Close()
	fmt.Println(cc.GetState())
	// Output: IDLE
}
