package clients

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	metrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

type spans struct {
	traces.UnimplementedTraceServiceServer
}

func (spans) Export(context.Context, *traces.ExportTraceServiceRequest) (*traces.ExportTraceServiceResponse, error) {
	return &traces.ExportTraceServiceResponse{}, nil
}

type numbers struct {
	metrics.UnimplementedMetricsServiceServer
}

func (numbers) Export(context.Context, *metrics.ExportMetricsServiceRequest) (*metrics.ExportMetricsServiceResponse, error) {
	return &metrics.ExportMetricsServiceResponse{}, nil
}

func startOTLP(t *testing.T) *harness.Server {
	return start(t, func(r grpc.ServiceRegistrar) {
		traces.RegisterTraceServiceServer(r, spans{})
		metrics.RegisterMetricsServiceServer(r, numbers{})
	})
}

func newSpanExporter(ctx context.Context, address, pool string) (*otlptrace.Exporter, error) {
	// docs: otlp traces
	exporter, err := otlptracegrpc.New(ctx,
		otlptracegrpc.WithEndpoint(address),
		otlptracegrpc.WithInsecure(),
		otlptracegrpc.WithServiceConfig(pool),
	)
	// end
	return exporter, err
}

func newMetricExporter(ctx context.Context, target string) (*otlpmetricgrpc.Exporter, error) {
	// docs: otlp metrics
	conn, err := grpc.NewClient(target, creds)
	if err != nil {
		return nil, err
	}
	exporter, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithGRPCConn(conn))
	// end
	return exporter, err
}

func TestSpans(t *testing.T) {
	s := startOTLP(t)
	exporter, err := newSpanExporter(t.Context(), s.Addr(), pool)
	require.NoError(t, err)
	defer func() { _ = exporter.Shutdown(context.Background()) }()
	one := tracetest.SpanStubs{{Name: "work"}}.Snapshots()
	harness.Renewed(t, s.Accepted, func(ctx context.Context) error { return exporter.ExportSpans(ctx, []trace.ReadOnlySpan{one[0]}) })
}

func TestMetrics(t *testing.T) {
	s := startOTLP(t)
	exporter, err := newMetricExporter(t.Context(), target(s.Addr()))
	require.NoError(t, err)
	defer func() { _ = exporter.Shutdown(context.Background()) }()
	one := &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{
		Name: "queue", Data: metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{Value: 1}}},
	}}}}}
	harness.Renewed(t, s.Accepted, func(ctx context.Context) error { return exporter.Export(ctx, one) })
}

func TestAnEndpointOfTheSchemeIsAPool(t *testing.T) {
	s := startOTLP(t)
	// docs: otlp endpoint
	endpoint := "subpool:///" + s.Addr() + "?size=4"
	exporter, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(endpoint), otlptracegrpc.WithInsecure())
	// end
	require.NoError(t, err)
	defer func() { _ = exporter.Shutdown(context.Background()) }()
	require.NoError(t, exporter.ExportSpans(t.Context(), tracetest.SpanStubs{{Name: "work"}}.Snapshots()))
	require.Eventually(t, func() bool { return s.Accepted() == 4 }, wait, tick)
}
