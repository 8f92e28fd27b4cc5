package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpc-subpool/subpool"
)

// get scrapes as Prometheus does.
func get(t *testing.T, url string) string {
	answer, err := http.Get(url)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	page, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(page)
}

func TestPrometheusScrapesThePool(t *testing.T) {
	server, addr, err := serve()
	require.NoError(t, err)
	defer server.Stop()
	registry := prometheus.NewRegistry()
	metrics, err := withMetrics(registry)
	require.NoError(t, err)
	cc, err := grpc.NewClient("dns:///"+addr, metrics, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"subpool":{"minSize":1,"maxSize":4}}]}`))
	require.NoError(t, err)
	defer cc.Close()
	web := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer web.Close()

	target := fmt.Sprintf("{grpc_target=%q", "dns:///"+addr)
	shows := func(line string) bool {
		return strings.Contains(get(t, web.URL), strings.Replace(line, "{", target, 1)+"\n")
	}
	until := func(line string) {
		t.Helper()
		for begin := time.Now(); !shows(line); {
			require.Less(t, time.Since(begin), 30*time.Second, "%s is not in\n%s", line, scraped(web.Config.Handler))
			load(t.Context(), cc, 50*time.Millisecond)
		}
	}
	until(`subpool_subchannels{,subpool_state="ready"} 4`)
	until(`subpool_connections_opened_total{,subpool_reason="growth"} 3`)
	require.True(t, shows(`subpool_growth_total{} 3`))
	require.True(t, shows(`subpool_stream_limit{} 20`))
	for _, pool := range subpool.Pools() {
		pool.Recycle()
	}
	until(`subpool_connections_retired_total{,subpool_reason="recycle"} 4`)
	until(`subpool_connections_drain_duration_seconds_count{} 4`)
	require.Contains(t, get(t, web.URL), "grpc_client_attempt_started_total", "and gRPC's own")
	require.NoError(t, cc.Close())
	until(`subpool_subchannels{,subpool_state="ready"} 0`)
}

func TestTheExampleEndsByItself(t *testing.T) {
	require.NoError(t, run(""))
}
