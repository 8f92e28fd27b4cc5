package exporter

import (
	"context"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/grpc-subpool/subpool/internal/harness"
)

type spanID [24]byte // of trace and span

// A collectorServer remembers what it got.
type collectorServer struct {
	collector.UnimplementedTraceServiceServer
	*harness.Server
	takes func() time.Duration // an export

	mu      sync.Mutex
	exports map[int]int // by connection
	spans   map[spanID]int
	open    [2]int // the fewest and the most connections seen since Watch
}

func atOnce() time.Duration { return 0 }

// slowly is 5 ms, and one time in a hundred longer than a connection stays open that was
// shut down too early.
func slowly() time.Duration {
	if rand.IntN(100) == 0 {
		return 1200 * time.Millisecond
	}
	return 5 * time.Millisecond
}

func startCollector(t *testing.T, takes func() time.Duration, streams uint32) *collectorServer {
	c := &collectorServer{takes: takes, exports: make(map[int]int), spans: make(map[spanID]int)}
	c.Server = harness.Start(t, harness.Options{
		TCP:      true,
		Server:   []grpc.ServerOption{grpc.MaxConcurrentStreams(streams)},
		Register: func(r grpc.ServiceRegistrar) { collector.RegisterTraceServiceServer(r, c) },
	})
	return c
}

func (c *collectorServer) Export(ctx context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	time.Sleep(c.takes())
	p, _ := peer.FromContext(ctx)
	open := c.Open()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.exports[harness.Number(p.Addr)]++
	c.open = [2]int{min(c.open[0], open), max(c.open[1], open)}
	for _, resource := range req.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				var id spanID
				copy(id[copy(id[:], span.GetTraceId()):], span.GetSpanId())
				c.spans[id]++
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// watch begins to look how many connections are open while exports run.
func (c *collectorServer) watch() {
	open := c.Open()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = [2]int{open, open}
}

func (c *collectorServer) seen() (exports map[int]int, spans map[spanID]int, open [2]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.exports), maps.Clone(c.spans), c.open
}
