package exporter

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/trace"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/integration/internal/load"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// newExporter returns an exporter whose failed exports are not repeated, so that one
// failed RPC is one lost batch. A forgotten RPC meets the deadline.
func newExporter(t *testing.T, addr, serviceConfig string) *otlptrace.Exporter {
	exporter, err := otlptracegrpc.New(t.Context(),
		otlptracegrpc.WithEndpoint(addr),
		otlptracegrpc.WithInsecure(),
		otlptracegrpc.WithServiceConfig(serviceConfig),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: false}),
		otlptracegrpc.WithTimeout(20*time.Second),
	)
	require.NoError(t, err)
	return exporter
}

// failures gathers what the SDK reports: failed exports among them.
func failures(t *testing.T) func() []error {
	var mu sync.Mutex
	var errs []error
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	}))
	t.Cleanup(func() { otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {})) })
	return func() []error {
		mu.Lock()
		defer mu.Unlock()
		return errs
	}
}

func newProvider(exporter trace.SpanExporter) *trace.TracerProvider {
	return trace.NewTracerProvider(trace.WithBatcher(exporter,
		trace.WithBlocking(), // a full queue drops nothing
		trace.WithMaxQueueSize(40),
		trace.WithMaxExportBatchSize(20),
		trace.WithBatchTimeout(10*time.Millisecond)))
}

// What the policy is there for, and what the exporter does without it.
func TestTheServiceConfigDecidesOverHowManyConnectionsSpansGo(t *testing.T) {
	for _, c := range []struct {
		name, serviceConfig string
		want                int
	}{
		{"no service config", `{}`, 1},
		{"size 1", harness.Policy(`{"size":1}`), 1},
		{"size 4", harness.Policy(`{"size":4}`), 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			reported := failures(t)
			server := startCollector(t, atOnce, 100)
			provider := newProvider(newExporter(t, server.Addr(), c.serviceConfig))
			spans := 0
			exporting := func() bool { exports, _, _ := server.seen(); return len(exports) < c.want }
			for ; spans < 100 || exporting(); spans++ {
				_, span := provider.Tracer("").Start(t.Context(), "work")
				span.End()
				require.NoError(t, provider.ForceFlush(t.Context()))
			}
			require.NoError(t, provider.Shutdown(t.Context()))

			exports, arrived, _ := server.seen()
			require.Empty(t, reported())
			require.Len(t, arrived, spans)
			require.Len(t, exports, c.want)
			require.Equal(t, c.want, server.Accepted())
		})
	}
}

// Many parts of a program share one exporter: each sends a batch at a time, so that more
// batches are on their way than the collector allows streams, while connections are
// recycled.
func TestNoSpanIsLostWhileTheExportersConnectionsAreRecycled(t *testing.T) {
	const size, providers, generations = 8, 24, 6
	reported := failures(t)
	server := startCollector(t, slowly, 2)
	exporter := newExporter(t, server.Addr(), harness.Policy(`{"size":8,"maxLifetime":"0.5s"}`))

	var spans atomic.Int64
	var full, enough atomic.Bool
	defer time.AfterFunc(time.Minute, func() { enough.Store(true) }).Stop()
	var working sync.WaitGroup
	var all []*trace.TracerProvider
	for range providers {
		provider := newProvider(exporter)
		all = append(all, provider)
		working.Go(func() {
			for !enough.Load() {
				_, span := provider.Tracer("").Start(context.Background(), "work")
				span.End()
				spans.Add(1)
				if server.Open() >= size && full.CompareAndSwap(false, true) {
					server.watch()
				}
				if server.Accepted() >= size*generations {
					enough.Store(true)
				}
			}
			if err := provider.ForceFlush(context.Background()); err != nil {
				otel.Handle(err)
			}
		})
	}
	working.Wait()
	for _, provider := range all { // the first ends the exporter, and all are flushed
		require.NoError(t, provider.Shutdown(t.Context()))
	}

	exports, arrived, open := server.seen()
	require.Empty(t, reported())
	require.Len(t, arrived, int(spans.Load()), "spans that arrived")
	require.Equal(t, len(arrived), sum(arrived), "spans that arrived, counted each time")
	require.GreaterOrEqual(t, server.Accepted(), size*generations, "connections made")
	require.GreaterOrEqual(t, open[0], size, "connections, at least")
	// size, as many that drain, and one on its way; but the server learns late of those
	// that were closed
	require.LessOrEqual(t, open[1], 3*size, "connections, at most")
	t.Logf("exporter: %s spans in %s exports, 0 lost, 0 twice, %d connections made, %d to %d open",
		load.Thousands(int(spans.Load())), load.Thousands(sum(exports)), server.Accepted(), open[0], open[1])
}

func sum[K comparable](counts map[K]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
