package metrics

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/stats/opentelemetry"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// A client is a channel in a scenario, and what OpenTelemetry has of it.
type client struct {
	t *testing.T
	*grpc.ClientConn
	*harness.Server
	resolver *manual.Resolver
	reader   *metric.ManualReader
	provider *metric.MeterProvider
}

// scenario runs in virtual time a server and a channel to it whose target test:/// is
// resolved to a:1.
func scenario(t *testing.T, settings string, opts harness.Options, tell func(*testing.T, client)) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, opts)
		c := dial(t, s.DialOptions(harness.Policy(settings))...)
		c.Server = s
		tell(t, c)
	})
}

func dial(t *testing.T, opts ...grpc.DialOption) client {
	c := client{t: t, resolver: manual.NewBuilderWithScheme("test"), reader: metric.NewManualReader()}
	c.resolver.InitialState(addresses("a:1"))
	c.provider = metric.NewMeterProvider(metric.WithReader(c.reader))
	metrics := opentelemetry.DialOption(opentelemetry.Options{MetricsOptions: opentelemetry.MetricsOptions{
		MeterProvider: c.provider,
		Metrics:       opentelemetry.DefaultMetrics().Join(subpool.Metrics()),
	}})
	var err error
	c.ClientConn, err = grpc.NewClient("test:///", append(opts, metrics, grpc.WithResolvers(c.resolver))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	c.Connect()
	synctest.Wait()
	return c
}

// another is a second channel to the same target and server, with the same provider.
func (c client) another(t *testing.T, settings string) client {
	other := c
	r := manual.NewBuilderWithScheme("test")
	r.InitialState(addresses("a:1"))
	metrics := opentelemetry.DialOption(opentelemetry.Options{MetricsOptions: opentelemetry.MetricsOptions{
		MeterProvider: c.provider,
		Metrics:       opentelemetry.DefaultMetrics().Join(subpool.Metrics()),
	}})
	var err error
	other.ClientConn, err = grpc.NewClient("test:///", c.DialOptions(harness.Policy(settings), metrics, grpc.WithResolvers(r))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = other.Close() })
	other.Connect()
	synctest.Wait()
	return other
}

func addresses(addrs ...string) (s resolver.State) {
	for _, a := range addrs {
		s.Addresses = append(s.Addresses, resolver.Address{Addr: a})
	}
	return s
}

// settings changes them.
func (c client) settings(settings string) {
	s := addresses("a:1")
	s.ServiceConfig = c.resolver.CC().ParseServiceConfig(harness.Policy(settings))
	c.resolver.UpdateState(s)
	synctest.Wait()
}

// wait lets that much time pass, and then what is to happen.
func (c client) wait(d time.Duration) { time.Sleep(d); synctest.Wait() }

// begin makes n RPCs, and returns how to end them.
func (c client) begin(n int) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(cancel)
	for range n {
		go func() { _, _ = grpc_testing.NewTestServiceClient(c).EmptyCall(ctx, &grpc_testing.Empty{}) }()
	}
	synctest.Wait()
	return func() { cancel(); synctest.Wait() }
}

// forever answers no RPC.
func forever(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }

// points returns the points of a metric by the label beside the target, "" if it has
// none. Those that are 0 are left out; a histogram has the number of its values.
func (c client) points(name string) map[string]int64 {
	c.t.Helper()
	points := make(map[string]int64)
	note := func(labels attribute.Set, n int64) {
		target, ok := labels.Value("grpc.target")
		require.True(c.t, ok && target.AsString() == "test:///", "%s: %v", name, labels)
		label := ""
		for _, l := range labels.ToSlice() {
			if strings.HasPrefix(string(l.Key), "subpool.") {
				label = l.Value.AsString()
			}
		}
		if n != 0 {
			points[label] = n
		}
	}
	switch data := c.collect(name).(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			note(p.Attributes, p.Value)
		}
	case metricdata.Gauge[int64]:
		for _, p := range data.DataPoints {
			note(p.Attributes, p.Value)
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			note(p.Attributes, int64(p.Count))
		}
	}
	return points
}

// collect returns what OpenTelemetry has of a metric, nil if nothing.
func (c client) collect(name string) metricdata.Aggregation {
	var all metricdata.ResourceMetrics
	require.NoError(c.t, c.reader.Collect(context.Background(), &all))
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == name {
				return m.Data
			}
		}
	}
	return nil
}
