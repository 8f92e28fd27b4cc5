package clients

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/confmap"
	traces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

const byName = `
# docs: collector by name
exporters:
  otlp:
    endpoint: collector.example.com:4317
    balancer_name: subpool
# end
`

const byTarget = `
# docs: collector by target
exporters:
  otlp:
    endpoint: subpool:///collector.example.com:4317?size=4
# end
`

// newCollectorConn is a channel of the Collector's exporter, without TLS, and to another
// endpoint if one is given.
func newCollectorConn(t *testing.T, text, endpoint string) *grpc.ClientConn {
	var file struct{ Exporters map[string]map[string]any }
	require.NoError(t, yaml.Unmarshal([]byte(text), &file))
	settings := file.Exporters["otlp"]
	settings["tls"] = map[string]any{"insecure": true}
	settings["endpoint"] = endpoint
	config := configgrpc.NewDefaultClientConfig() // names round_robin
	require.NoError(t, confmap.NewFromStringMap(settings).Unmarshal(&config))
	require.NoError(t, config.Validate())
	conn, err := config.ToClientConn(t.Context(), nil, componenttest.NewNopTelemetrySettings())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestCollector(t *testing.T) {
	s := startOTLP(t)
	client := traces.NewTraceServiceClient(newCollectorConn(t, byTarget, target(s.Addr())))
	harness.Renewed(t, s.Accepted, func(ctx context.Context) error {
		_, err := client.Export(ctx, &traces.ExportTraceServiceRequest{})
		return err
	})
}

// A policy that is only named has no settings: one connection while that is enough.
func TestCollectorThatNamesThePolicyAlone(t *testing.T) {
	s := startOTLP(t)
	client := traces.NewTraceServiceClient(newCollectorConn(t, byName, "dns:///"+s.Addr()))
	for range 100 {
		_, err := client.Export(t.Context(), &traces.ExportTraceServiceRequest{})
		require.NoError(t, err)
	}
	require.Equal(t, 1, s.Accepted())
}
