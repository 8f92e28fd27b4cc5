package subpool

import (
	"google.golang.org/grpc/credentials"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/wire"
)

// Config is the settings of a pool, for programs that would rather have the
// compiler check the names. Zero is zero in it: start from [DefaultConfig].
//
//	c := subpool.DefaultConfig()
//	c.MinSize, c.MaxSize = 8, 8
//	cc, err := grpc.NewClient(target, creds, grpc.WithDefaultServiceConfig(c.ServiceConfig()))
type Config = config.Config

// DefaultConfig returns the settings of an empty JSON object.
func DefaultConfig() Config { return config.Default() }

// Credentials returns creds such that the policy learns from a connection itself:
// the server's limit of streams, and whether it answers at all; and can cut it. The
// policy does so by itself, by way of an option of gRPC's that is deprecated. This
// is for the day when that is gone, and for policies between the channel and
// subpool that do not pass it on:
//
//	grpc.NewClient(target, grpc.WithTransportCredentials(subpool.Credentials(creds)))
func Credentials(creds credentials.TransportCredentials) credentials.TransportCredentials {
	return wire.Credentials(creds)
}
