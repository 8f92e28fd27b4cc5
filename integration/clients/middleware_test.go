package clients

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	prometheus "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

func newGateway(address, pool string) (*runtime.ServeMux, *prometheus.ClientMetrics, *grpc.ClientConn, error) {
	// docs: gateway
	metrics := prometheus.NewClientMetrics()
	conn, err := grpc.NewClient("dns:///"+address, creds,
		grpc.WithDefaultServiceConfig(pool),
		grpc.WithChainUnaryInterceptor(
			retry.UnaryClientInterceptor(retry.WithMax(3)),
			metrics.UnaryClientInterceptor(), // of each attempt
		),
	)
	if err != nil {
		return nil, nil, nil, err
	}
	mux := runtime.NewServeMux(runtime.WithHealthzEndpoint(grpc_health_v1.NewHealthClient(conn)))
	// end
	return mux, metrics, conn, nil
}

// The metrics are of attempts: each operation had one, that was well.
func TestGatewayWithRetriesAndMetrics(t *testing.T) {
	s := start(t, nil)
	mux, metrics, conn, err := newGateway(s.Addr(), pool)
	require.NoError(t, err)
	defer conn.Close()
	harness.Renewed(t, s.Accepted, func(ctx context.Context) error {
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, "/healthz", http.NoBody))
		if answer.Code != http.StatusOK {
			return errors.New(answer.Body.String())
		}
		return nil
	})
	require.Equal(t, 1, testutil.CollectAndCount(metrics, "grpc_client_handled_total"), "all of one code")
}
