package clients

import (
	"context"
	"testing"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

type agent struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
}

// FetchJWTBundles has one answer, and never ends by itself.
func (agent) FetchJWTBundles(_ *workload.JWTBundlesRequest, stream grpc.ServerStreamingServer[workload.JWTBundlesResponse]) error {
	err := stream.Send(&workload.JWTBundlesResponse{Bundles: map[string][]byte{"example.org": []byte(`{"keys":[]}`)}})
	if err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

func newSpiffe(ctx context.Context, socket, pool string) (*workloadapi.Client, error) {
	// docs: spiffe
	client, err := workloadapi.New(ctx,
		workloadapi.WithAddr("unix://"+socket),
		workloadapi.WithDialOptions(grpc.WithDefaultServiceConfig(pool)),
	)
	// end
	return client, err
}

type watcher struct {
	updates chan struct{}
	errs    chan error
}

func (w watcher) OnJWTBundlesUpdate(*jwtbundle.Set) { w.updates <- struct{}{} }
func (w watcher) OnJWTBundlesWatchError(err error)  { w.errs <- err }

func startAgent(t *testing.T) *harness.Server {
	return harness.Start(t, harness.Options{Unix: true, Register: func(r grpc.ServiceRegistrar) {
		workload.RegisterSpiffeWorkloadAPIServer(r, agent{})
	}})
}

func TestSpiffe(t *testing.T) {
	s := startAgent(t)
	client, err := newSpiffe(t.Context(), s.Addr(), pool)
	require.NoError(t, err)
	defer client.Close()
	harness.Renewed(t, s.Accepted, func(ctx context.Context) error {
		_, err := client.FetchJWTBundles(ctx)
		return err
	})
}

// A watch keeps its connection, which would drain for ever.
func TestAWatchIsEndedByTheDrainTimeoutAndGoesOn(t *testing.T) {
	s := startAgent(t)
	client, err := newSpiffe(t.Context(), s.Addr(), harness.Policy(`{"size":1,"maxLifetime":"0.3s","drainTimeout":"0.2s"}`))
	require.NoError(t, err)
	defer client.Close()
	w := watcher{make(chan struct{}, 100), make(chan error, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = client.WatchJWTBundles(ctx, w) }()
	<-w.updates
	require.ErrorContains(t, <-w.errs, "Unavailable")
	<-w.updates
}
