package metrics

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

type points = map[string]int64

var twoStreams = []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}

func TestSubchannelsAreCountedByState(t *testing.T) {
	const name = "subpool.subchannels"
	opts := harness.Options{Handle: forever, DialTime: time.Second}
	scenario(t, `{"size":3,"maxLifetime":"1m","lifetimeJitter":0,"idleTimeout":"0s"}`, opts, func(t *testing.T, c client) {
		require.Equal(t, points{"connecting": 3}, c.points(name))
		c.wait(time.Second)
		require.Equal(t, points{"ready": 3}, c.points(name))
		end := c.begin(1)
		c.wait(2 * time.Minute)
		require.Equal(t, points{"ready": 3, "draining": 1}, c.points(name))
		end()
		require.Equal(t, points{"ready": 3}, c.points(name))
		c.Break(harness.Refuse)
		c.Cut()
		synctest.Wait()
		require.Equal(t, points{"backoff": 3}, c.points(name))
		c.wait(1300 * time.Millisecond) // gRPC's backoff; one attempt at a time then
		require.Equal(t, points{"backoff": 1, "idle": 2}, c.points(name))
		c.Break(harness.None)
		c.wait(time.Minute)
		require.Equal(t, points{"ready": 3}, c.points(name))
		require.NoError(t, c.Close())
		require.Empty(t, c.points(name))
	})
}

func TestSubchannelsWhoseServerDoesNotServeAreCountedApart(t *testing.T) {
	scenario(t, `{"size":2}`, harness.Options{}, func(t *testing.T, c client) {
		s := addresses("a:1")
		s.ServiceConfig = c.resolver.CC().ParseServiceConfig(`{"healthCheckConfig":{"serviceName":""},"loadBalancingConfig":[{"subpool":{"size":2}}]}`)
		c.resolver.UpdateState(s)
		c.wait(time.Second)
		c.Cut(1, 2)
		c.wait(time.Second)
		c.SetHealth(3, false)
		synctest.Wait()
		require.Equal(t, points{"not_serving": 1, "ready": 1}, c.points("subpool.subchannels"))
	})
}

// Each reason by itself.
func TestConnectionsAreOpenedAndRetiredForAReason(t *testing.T) {
	for reason, c := range map[string]struct {
		settings string
		happens  func(c client)
		opened   points
		retired  int64
	}{
		"idle": {`{"size":2,"idleTimeout":"16s","maxLifetime":"0s","lifetimeJitter":0}`, func(c client) {
			c.wait(15 * time.Second)
		}, points{"start": 2, "idle": 2}, 2},
		"max_lifetime": {`{"size":2,"maxLifetime":"10s","idleTimeout":"0s","lifetimeJitter":0}`, func(c client) {
			c.wait(10 * time.Second)
		}, points{"start": 2, "max_lifetime": 2}, 2},
		"unresponsive": {`{"size":2,"unresponsiveTimeout":"1s"}`, func(c client) {
			c.Darken(harness.Swallow, 2)
			for range 300 {
				ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
				_, _ = grpc_testing.NewTestServiceClient(c).EmptyCall(ctx, &grpc_testing.Empty{})
				cancel()
				c.wait(10 * time.Millisecond)
			}
		}, points{"start": 2, "unresponsive": 1}, 1},
		"recycle": {`{"size":2}`, func(c client) {
			subpool.Pools()[0].Recycle()
			synctest.Wait()
		}, points{"start": 2, "recycle": 2}, 2},
		"lost": {`{"size":2}`, func(c client) {
			c.wait(time.Second)
			c.Cut(1)
			synctest.Wait()
		}, points{"start": 2, "lost": 1}, 1},
		"settings": {`{"size":2}`, func(c client) {
			c.settings(`{"size":1}`)
		}, points{"start": 2}, 1},
		"endpoint_removed": {`{"size":2}`, func(c client) {
			c.resolver.UpdateState(addresses("b:1"))
			synctest.Wait()
		}, points{"start": 2 + 2}, 2},
	} {
		t.Run(reason, func(t *testing.T) {
			scenario(t, c.settings, harness.Options{}, func(t *testing.T, cl client) {
				require.Equal(t, points{"start": 2}, cl.points("subpool.connections.opened"))
				require.Empty(t, cl.points("subpool.connections.retired"))
				c.happens(cl)
				require.Equal(t, c.opened, cl.points("subpool.connections.opened"))
				require.Equal(t, points{reason: c.retired}, cl.points("subpool.connections.retired"))
			})
		})
	}
}

// The first is lost, for one RPC too many came on it: no request limit was known yet. Those
// that follow get as many as the server takes, if it is soon seen to have one.
func TestConnectionsThatCarriedAllThatAServerTakesAreRetiredForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &harness.SilentServer{Answers: func(int) bool { return true }, Delay: time.Millisecond}
		s.Takes.Store(10)
		s.Start(t)
		c := dial(t, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(s.Dial), grpc.WithDefaultServiceConfig(harness.Policy(`{"size":1}`)))
		c.begin(11)
		c.wait(100 * time.Millisecond)
		require.Equal(t, points{"lost": 1}, c.points("subpool.connections.retired"))
		for range 29 {
			_, err := grpc_testing.NewTestServiceClient(c).EmptyCall(t.Context(), &grpc_testing.Empty{})
			require.NoError(t, err)
		}
		synctest.Wait()
		require.Equal(t, points{"lost": 1, "requests": 3}, c.points("subpool.connections.retired"))
		require.Equal(t, points{"start": 1, "lost": 1, "requests": 3}, c.points("subpool.connections.opened"))
	})
}

// The second connection reaches a backend that fails each RPC, its successor another.
func TestConnectionsThatFailMoreThanTheirSiblingsAreRetiredForIt(t *testing.T) {
	opts := harness.Options{Handle: func(_ context.Context, conn int) error {
		if conn == 2 {
			return status.Error(codes.Unavailable, "broken backend")
		}
		return nil
	}}
	scenario(t, `{"size":2,"outlierInterval":"10s"}`, opts, func(t *testing.T, c client) {
		c.wait(time.Second)
		for range 4000 {
			_, _ = grpc_testing.NewTestServiceClient(c).EmptyCall(t.Context(), &grpc_testing.Empty{})
			c.wait(10 * time.Millisecond)
		}
		require.Equal(t, points{"outlier": 1}, c.points("subpool.connections.retired"))
		require.Equal(t, points{"start": 2, "outlier": 1}, c.points("subpool.connections.opened"))
	})
}

func TestAPoolThatGrowsAndShrinksSaysSo(t *testing.T) {
	opts := harness.Options{Handle: forever}
	const settings = `{"minSize":1,"maxSize":4,"targetStreams":10,"idleTimeout":"160s","maxLifetime":"0s"}`
	scenario(t, settings, opts, func(t *testing.T, c client) {
		require.Empty(t, c.points("subpool.growth"))
		end := c.begin(30)
		c.wait(time.Second)
		require.Equal(t, points{"": 3}, c.points("subpool.growth"))
		require.Equal(t, points{"start": 1, "growth": 3}, c.points("subpool.connections.opened"))
		end()
		c.wait(4 * time.Minute)
		require.Equal(t, points{"": 3}, c.points("subpool.growth"))
		require.Equal(t, int64(3), c.points("subpool.connections.retired")["shrink"])
		require.Equal(t, points{"ready": 1}, c.points("subpool.subchannels"))
	})
}

func TestARenewalThatFailsIsCounted(t *testing.T) {
	const name = "subpool.renewals.failed"
	scenario(t, `{"size":1,"maxLifetime":"10s","lifetimeJitter":0,"idleTimeout":"0s"}`, harness.Options{}, func(t *testing.T, c client) {
		c.Break(harness.Refuse)
		c.wait(10 * time.Second)
		require.Equal(t, points{"": 1}, c.points(name))
		c.wait(1300 * time.Millisecond) // and once more, after gRPC's backoff
		require.Equal(t, points{"": 2}, c.points(name))
		require.Empty(t, c.points("subpool.connections.retired"), "the old one stays")
		c.Cut()
		c.wait(time.Minute)
		require.Equal(t, points{"": 2}, c.points(name), "no renewal any more")
	})
}

func TestRPCsThatFindEverythingFullAreCounted(t *testing.T) {
	const name = "subpool.calls.full"
	opts := harness.Options{Handle: forever, DialTime: 900 * time.Millisecond, Server: twoStreams}
	scenario(t, `{"minSize":1,"maxSize":2,"maxPending":3}`, opts, func(t *testing.T, c client) {
		c.wait(time.Second)
		c.begin(2)
		require.Empty(t, c.points(name))
		c.begin(2) // a place for each, on the connection that is on its way
		c.wait(2 * time.Second)
		require.Equal(t, points{"held": 2}, c.points(name))
		c.begin(3 + 4)
		c.wait(2 * time.Second)
		require.Equal(t, points{"held": 2, "queued": 3, "refused": 4}, c.points(name))
	})
}

func TestRPCsOnConnectionsClosedByForceAreCounted(t *testing.T) {
	const name = "subpool.calls.force_closed"
	opts := harness.Options{Handle: forever}
	scenario(t, `{"size":1,"maxLifetime":"10s","lifetimeJitter":0,"drainTimeout":"5s"}`, opts, func(t *testing.T, c client) {
		c.begin(3)
		c.wait(14 * time.Second)
		require.Empty(t, c.points(name))
		c.wait(time.Second)
		require.Equal(t, points{"": 3}, c.points(name))
	})
}

func TestTheStreamLimitIsTheServers(t *testing.T) {
	const name = "subpool.stream_limit"
	scenario(t, `{"size":2}`, harness.Options{}, func(t *testing.T, c client) {
		require.Nil(t, c.collect(name), "none is known")
		c.Allow(t, 1, 100) // the first is told at once, the next ones once a second
		c.wait(time.Second)
		require.Equal(t, points{"": 100}, c.points(name))
		c.Allow(t, 2, 10)
		c.wait(time.Second)
		require.Equal(t, points{"": 10}, c.points(name), "the smallest")
		subpool.Pools()[0].Recycle()
		c.wait(time.Second)
		require.Equal(t, points{"": -1}, c.points(name), "the new ones have none")
	})
}

func TestADrainTakesAsLongAsTheRPCs(t *testing.T) {
	const name = "subpool.connections.drain_duration"
	opts := harness.Options{Handle: forever}
	scenario(t, `{"size":1,"maxLifetime":"10s","lifetimeJitter":0}`, opts, func(t *testing.T, c client) {
		end := c.begin(1)
		c.wait(14 * time.Second)
		require.Empty(t, c.points(name))
		end()
		require.Equal(t, points{"": 1}, c.points(name))
		drains := c.collect(name).(metricdata.Histogram[float64]).DataPoints[0]
		require.InDelta(t, 4, drains.Sum, 0.001)
		require.Contains(t, drains.Bounds, 5.0)
		c.wait(6 * time.Second) // the next one carries nothing
		require.Equal(t, points{"": 2}, c.points(name))
		require.InDelta(t, 4, c.collect(name).(metricdata.Histogram[float64]).DataPoints[0].Sum, 0.001)
	})
}

// An application may make metrics of its own from what a pool shows.
func TestASnapshotMayBeTakenWhileMetricsAreRead(t *testing.T) {
	opts := harness.Options{Handle: forever, Server: twoStreams}
	scenario(t, `{"size":1}`, opts, func(t *testing.T, c client) {
		c.begin(5)
		meter := c.provider.Meter("application")
		_, err := meter.Int64ObservableGauge("queued", metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			shown, ok := subpool.Pools()[0].Snapshot() // it records what it finds queued
			require.True(t, ok)
			o.Observe(int64(shown.Queued), metric.WithAttributes(attribute.String("grpc.target", shown.Target)))
			return nil
		}))
		require.NoError(t, err)
		require.Equal(t, points{"": 3}, c.points("queued"))
		require.Equal(t, points{"queued": 3}, c.points("subpool.calls.full"))
	})
}
