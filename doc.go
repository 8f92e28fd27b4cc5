// Package subpool gives a gRPC channel several connections to each server.
//
// Import it for its side effect and name the policy in the service config:
//
//	import _ "github.com/grpc-subpool/subpool"
//
//	cc, err := grpc.NewClient("dns:///svc.example.com:443", creds,
//		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"subpool":{"size":8}}]}`))
//
// Or name it in the target:
//
//	cc, err := grpc.NewClient("subpool:///svc.example.com:443?size=8", creds)
//
// Stubs and call sites stay as they are: cc is an ordinary channel. Each address
// that the resolver gives now gets eight subchannels, that is eight connections.
// They connect side by side, reconnect when they are lost, and are replaced when
// they reach maxLifetime: a successor connects first, and the old one finishes
// the RPCs it has. RPCs go to the connection with the fewest in flight.
//
// A channel that is not used for 30 minutes closes its connections, whatever its
// policy; grpc.WithIdleTimeout(0) keeps the pool open.
//
// The settings are described at [Config] and in docs/configuration.md; [Explain]
// tells what they come to.
package subpool
