package subpool

import "github.com/grpc-subpool/subpool/config"

// Config is the settings of a pool, for programs that would rather have the
// compiler check the names. Zero is zero in it: start from [DefaultConfig].
//
//	c := subpool.DefaultConfig()
//	c.MinSize, c.MaxSize = 8, 8
//	cc, err := grpc.NewClient(target, creds, grpc.WithDefaultServiceConfig(c.ServiceConfig()))
type Config = config.Config

// DefaultConfig returns the settings of an empty JSON object.
func DefaultConfig() Config { return config.Default() }
