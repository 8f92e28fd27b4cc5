// Package migration checks what docs/migration.md says of other modules, with these
// modules.
package migration

import (
	"context"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
	gtransport "google.golang.org/api/transport/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"

	_ "github.com/GoogleCloudPlatform/grpc-gcp-go/grpcgcp"    // of theirs
	_ "github.com/processout/grpc-go-pool"                    // of theirs
	_ "google.golang.org/grpc/examples/helloworld/helloworld" // of theirs

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/docblocks"
	"github.com/grpc-subpool/subpool/internal/harness"
)

var theirs = docblocks.Scope{
	Imports: map[string]string{
		"context":       "context",
		"atomic":        "sync/atomic",
		"grpcgcp":       "github.com/GoogleCloudPlatform/grpc-gcp-go/grpcgcp",
		"time":          "time",
		"grpc":          "google.golang.org/grpc",
		"pb":            "google.golang.org/grpc/examples/helloworld/helloworld",
		"opentelemetry": "google.golang.org/grpc/stats/opentelemetry",
		"metric":        "go.opentelemetry.io/otel/sdk/metric",
		"option":        "google.golang.org/api/option",
		"grpcpool":      "github.com/processout/grpc-go-pool",
		"subpool":       "github.com/grpc-subpool/subpool",
	},
	Params: `ctx context.Context, req *pb.HelloRequest, cc *grpc.ClientConn, exporter metric.Reader,
		target, address string, creds grpc.DialOption, byAddress map[string]*grpc.ClientConn,
		channels []*grpc.ClientConn, next *atomic.Uint64,
		factory grpcpool.Factory, init, capacity int, idleTimeout, maxLifeDuration time.Duration`,
}

// Two of the pools are not fetched: their code is looked at for its grammar only.
func TestTheirCodeCompiles(t *testing.T) {
	var all []docblocks.Block
	for _, b := range docblocks.Blocks(t, "../..") {
		switch {
		case b.Language != "go" || !b.Foreign() || b.Quoted():
		case strings.Contains(b.Text, " pool.Init(") || strings.Contains(b.Text, " pool.New("):
			_, err := parser.ParseFile(token.NewFileSet(), b.File, "package p; func f() {\n"+b.Text+"}", 0)
			require.NoError(t, err, "%s:%d", b.File, b.Line)
		default:
			all = append(all, b)
		}
	}
	require.Len(t, all, 9)
	theirs.Compile(t, all...)
}

// What Google's clients do with their options, without one of them.
func TestAClientOfGooglesMakesOneChannelWithAPool(t *testing.T) {
	s := harness.Start(t, harness.Options{TCP: true})
	pool, err := gtransport.DialPool(t.Context(),
		option.WithEndpoint(s.Addr()), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		option.WithGRPCConnectionPool(8), // as a client's own default
		option.WithGRPCDialOption(grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"subpool":{"size":4}}]}`)),
		option.WithGRPCConnectionPool(1),
	)
	require.NoError(t, err)
	defer pool.Close()
	require.Equal(t, 1, pool.Num())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = grpc_testing.NewTestServiceClient(pool).EmptyCall(ctx, &grpc_testing.Empty{}, grpc.WaitForReady(true))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.Accepted() == 4 }, time.Minute, 5*time.Millisecond)
}
