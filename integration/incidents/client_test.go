package incidents

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats/opentelemetry"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/harness"
	"github.com/grpc-subpool/subpool/page"
)

// A client is a channel in an incident, with what its page and Prometheus have of it.
type client struct {
	*testing.T
	*grpc.ClientConn
	*harness.Server
	story *story
}

// An incident is staged, and has a row in the page of operations.
type incident struct {
	name     string // the first cell of its row
	settings string
	server   harness.Options
	options  []grpc.DialOption
	dial     func(ctx context.Context, s *harness.Server) (net.Conn, error) // nil is that of the server
	happens  func(c client)
}

// A story is what was seen of an incident.
type story struct {
	errors    []string // of RPCs
	decisions []string // of the pool
	json      []byte   // the page's, at its end unless the incident is over by then
	scraped   scrapes
}

// play stages an incident for a channel with these settings, in virtual time.
func play(t *testing.T, i incident) (seen story) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, i.server)
		registry := prometheus.NewRegistry()
		exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
		require.NoError(t, err)
		provider := metric.NewMeterProvider(metric.WithReader(exporter))
		metrics := opentelemetry.DialOption(opentelemetry.Options{MetricsOptions: opentelemetry.MetricsOptions{
			MeterProvider:  provider,
			Metrics:        opentelemetry.DefaultMetrics().Join(subpool.Metrics()).Add("grpc.subchannel.disconnections"),
			OptionalLabels: []string{"grpc.disconnect_error"},
		}})
		opts := append([]grpc.DialOption{metrics}, i.options...)
		if i.dial != nil {
			opts = append(opts, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return i.dial(ctx, s) }))
		}
		c := client{T: t, Server: s, story: &seen}
		c.ClientConn = s.NewClient(t, harness.Policy(i.settings), opts...)
		c.Connect()
		c.wait(time.Second + time.Millisecond) // so that nothing else happens when it is scraped
		stop := seen.scraped.every(t, registry)
		i.happens(c)
		c.wait(scrapeInterval)
		stop()
		if seen.json == nil {
			c.look()
		}
	})
	return seen
}

// pageJSON is what the page has for programs.
func pageJSON(t *testing.T) []byte {
	answer := httptest.NewRecorder()
	page.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/debug/subpool/json", nil))
	require.Equal(t, http.StatusOK, answer.Code)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return text
}

// look keeps what the page has now.
func (c client) look() { c.story.json = pageJSON(c.T) }

// decided is what the pool decided of a kind, last, in words. The page of operations quotes it.
func (c client) decided(what string) (why string) {
	for _, d := range c.shown().Decisions {
		if d.What == what {
			why = d.Why
		}
	}
	require.NotEmpty(c, why, what)
	c.story.decisions = append(c.story.decisions, why)
	return why
}

// wait lets that much time pass, and then what is to happen.
func (c client) wait(d time.Duration) { time.Sleep(d); synctest.Wait() }

// call makes an RPC with this deadline, and notes its error.
func (c client) call(deadline time.Duration, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(c.Context(), deadline)
	defer cancel()
	_, err := grpc_testing.NewTestServiceClient(c).EmptyCall(ctx, &grpc_testing.Empty{}, opts...)
	c.note(err)
	return err
}

// note keeps the error of an RPC. The page of operations quotes all of them.
func (c client) note(err error) {
	if err == nil {
		return
	}
	notes.Lock()
	defer notes.Unlock()
	code := strings.ToUpper(betweenWords.ReplaceAllString(status.Code(err).String(), "${1}_$2"))
	text := code + ": " + status.Convert(err).Message()
	if !slices.Contains(c.story.errors, text) {
		c.story.errors = append(c.story.errors, text)
	}
}

var (
	notes        sync.Mutex
	betweenWords = regexp.MustCompile(`([a-z])([A-Z])`)
)

// calls makes n RPCs one after the other, 10 ms apart, and returns how many failed.
func (c client) calls(n int) (failed int) {
	for range n {
		if c.call(200*time.Millisecond) != nil {
			failed++
		}
		c.wait(10 * time.Millisecond)
	}
	return failed
}

// open opens n streams, which last until they are ended.
func (c client) open(n int) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.Context()))
	c.Cleanup(cancel)
	for range n {
		go func() {
			stream, err := grpc_testing.NewTestServiceClient(c).FullDuplexCall(ctx)
			if err == nil {
				_, err = stream.Recv()
			}
			if ctx.Err() == nil {
				c.note(err)
			}
		}()
	}
	synctest.Wait()
	return func() { cancel(); synctest.Wait() }
}

// shown is the pool as a snapshot has it.
func (c client) shown() (p inspect.Pool) {
	var all []inspect.Pool
	require.NoError(c, json.Unmarshal(pageJSON(c.T), &all))
	require.Len(c, all, 1)
	return all[0]
}

// endpoint is that of the one address.
func (c client) endpoint() inspect.Endpoint { return c.shown().Endpoints[0] }
