package subpool

import (
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/stats"

	"github.com/grpc-subpool/subpool/balancer"
	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/h2conn"
	"github.com/grpc-subpool/subpool/internal/registry"
)

// Config is the settings of a pool, for programs that would rather have the
// compiler check the names. Zero is zero in it: start from [DefaultConfig].
//
//	c := subpool.DefaultConfig()
//	c.Size = 8
//	cc, err := grpc.NewClient(target, creds, grpc.WithDefaultServiceConfig(c.ServiceConfig()))
//
// These are its fields; [config.Config] says more of each. A duration of 0 is off:
//
//	field                default          must                     what it is
//	Size                 0                be 0 to 1024             if not 0, MinSize and MaxSize at once
//	MinSize              1                be 0 to 1024             subchannels of an endpoint that are always open
//	MaxSize              4                be 1 to 1024             most subchannels of an endpoint
//	TargetStreams        100              be 1 to 2147483647       RPCs in flight that one should carry
//	Picker               least_in_flight  name a picker            how RPCs are spread
//	IdleTimeout          4m0s             be 0s or at least 100ms  silence before a connection is replaced
//	MaxLifetime          1h0m0s           be 0s or at least 100ms  age at which a connection is replaced
//	LifetimeJitter       0.25             be 0 to 1                largest part of it that is taken off at random
//	DrainTimeout         0s               not be negative          how long a retired connection keeps its RPCs
//	MaxPending           2147483647       be 0 to 2147483647       RPCs that may wait for a stream; the most is no limit
//	UnresponsiveTimeout  0s               not be negative          time without an answer before it is replaced
//	OutlierInterval      10s              be 0s or at least 100ms  time of counting before one that fails more is replaced
//	ResolveInterval      0s               be 0s or at least 100ms  how often the resolver is asked again
//	Name                                  be at most 64 bytes of printable text  what the pool is called beside its target
type Config = config.Config

// DefaultConfig returns the settings of an empty JSON object.
func DefaultConfig() Config { return config.Default() }

// Credentials returns creds such that the policy learns from a connection itself:
// the server's limit of streams, and whether it answers at all; and can close it. The
// policy does so by itself, by way of an option of gRPC's that is deprecated. This
// is for the day when that is gone, and for policies between the channel and
// subpool that do not pass it on:
//
//	grpc.NewClient(target, grpc.WithTransportCredentials(subpool.Credentials(creds)))
func Credentials(creds credentials.TransportCredentials) credentials.TransportCredentials {
	return h2conn.Credentials(creds)
}

// Pools returns the live pools of this process, oldest first: what each is now, what it
// has decided of late and why, and a way to recycle it. A channel has one while it is not
// idle, or several if a parent policy has made them. See package
// [github.com/grpc-subpool/subpool/inspect].
func Pools() []inspect.Handle { return registry.Pools() }

// Metrics returns the names of the metrics of the policy. Like all that are not gRPC's
// stable ones they are off unless they are asked for, with one provider for all channels:
//
//	opentelemetry.DialOption(opentelemetry.Options{MetricsOptions: opentelemetry.MetricsOptions{
//		MeterProvider: provider,
//		Metrics:       opentelemetry.DefaultMetrics().Join(subpool.Metrics()),
//	}})
//
// docs/operations.md says what each means.
func Metrics() *stats.MetricSet { return stats.NewMetricSet(balancer.Metrics()...) }
