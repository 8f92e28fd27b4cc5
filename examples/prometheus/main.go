// Command prometheus shows the metrics of a pool, and gRPC's own, as Prometheus sees them.
//
//	go run .
//
// It runs a server, and a pool that grows under load and is recycled, prints what
// Prometheus would scrape of the pool, and ends. With -listen it serves /metrics until it
// is interrupted.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats/opentelemetry"

	"github.com/grpc-subpool/subpool"
)

// withMetrics makes channels put their metrics into registry: gRPC's and the pool's. A
// program makes one such option and gives it to all its channels: of two exporters into
// one registry Prometheus gets an error.
func withMetrics(registry prometheus.Registerer) (grpc.DialOption, error) {
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, err
	}
	return opentelemetry.DialOption(opentelemetry.Options{MetricsOptions: opentelemetry.MetricsOptions{
		MeterProvider: metric.NewMeterProvider(metric.WithReader(exporter)),
		Metrics:       opentelemetry.DefaultMetrics().Join(subpool.Metrics()),
	}}), nil
}

func main() {
	log.SetFlags(0)
	listen := flag.String("listen", "", "serve /metrics at this address until interrupted")
	flag.Parse()
	if err := run(*listen); err != nil {
		log.Fatal(err)
	}
}

func run(listen string) error {
	server, addr, err := serve()
	if err != nil {
		return err
	}
	defer server.Stop()
	registry := prometheus.NewRegistry()
	metrics, err := withMetrics(registry)
	if err != nil {
		return err
	}
	cc, err := grpc.NewClient("dns:///"+addr, metrics,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"subpool":{"minSize":1,"maxSize":4}}]}`))
	if err != nil {
		return err
	}
	defer cc.Close()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	scrape := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	if listen == "" {
		load(ctx, cc, time.Second)
		for _, pool := range subpool.Pools() {
			pool.Recycle()
		}
		load(ctx, cc, time.Second)
		fmt.Print(scraped(scrape))
		return nil
	}
	web := &http.Server{Addr: listen, Handler: scrape, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		load(ctx, cc, time.Hour)
		_ = web.Close()
	}()
	log.Printf("metrics at http://%s/metrics", listen)
	if err := web.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}
