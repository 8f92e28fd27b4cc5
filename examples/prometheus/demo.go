package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// serve starts a server that allows 20 streams on a connection, and takes 5 ms for an RPC.
func serve() (*grpc.Server, string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	slow := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		time.Sleep(5 * time.Millisecond)
		return handler(ctx, req)
	}
	server := grpc.NewServer(grpc.MaxConcurrentStreams(20), grpc.UnaryInterceptor(slow))
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(l) }()
	return server, l.Addr().String(), nil
}

// load keeps 50 RPCs in flight for that long.
func load(ctx context.Context, cc *grpc.ClientConn, long time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			for ctx.Err() == nil {
				_, _ = grpc_health_v1.NewHealthClient(cc).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
			}
		})
	}
	callers.Wait()
}

// scraped is what Prometheus would get of the pool.
func scraped(handler http.Handler) string {
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var ours strings.Builder
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(line, "subpool_") {
			ours.WriteString(line)
		}
	}
	return ours.String()
}
