package subpool_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// badInput is the table of docs/configuration.md: inputs that are targets, or are
// not, and their messages.
func badInput(t *testing.T, targets bool) map[string]string {
	t.Helper()
	page, err := os.ReadFile("docs/configuration.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(page), "\n## Appendix: what bad input gets\n")
	require.True(t, found)
	rows := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `(.*)` \\| `(.*)` \\|$").FindAllStringSubmatch(table, -1) {
		if strings.HasPrefix(row[1], "subpool:") == targets {
			rows[row[1]] = row[2]
		}
	}
	require.Greater(t, len(rows), 30)
	return rows
}

func TestBadSettingsFailNewClientAsTheTableSays(t *testing.T) {
	for settings, message := range badInput(t, false) {
		t.Run(settings, func(t *testing.T) {
			_, err := grpc.NewClient("passthrough:///any", grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithDefaultServiceConfig(harness.Policy(settings)))
			require.EqualError(t, err, `grpc: the provided default service config is invalid: error parsing config for policy "subpool": `+message)
		})
	}
}

// A default service config must not change that: it would be used if gRPC took
// what is wrong with the target for an error of name resolution.
func TestABadTargetFailsTheFirstRPCAsTheTableSays(t *testing.T) {
	for target, message := range badInput(t, true) {
		for _, wait := range []bool{false, true} {
			for _, serviceConfig := range []string{`{}`, harness.Policy(`{"size":2}`)} {
				t.Run(target, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						cc, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
							grpc.WithDefaultServiceConfig(serviceConfig))
						require.NoError(t, err)
						defer cc.Close()
						begin := time.Now()
						err = emptyCall(cc, grpc.WaitForReady(wait))
						require.Equal(t, codes.Unavailable, status.Code(err))
						require.Equal(t, message, status.Convert(err).Message())
						require.Less(t, time.Since(begin), 100*time.Millisecond)
					})
				})
			}
		}
	}
}

func TestABadTargetFailsDialAsTheTableSays(t *testing.T) {
	for target, message := range badInput(t, true) {
		t.Run(target, func(t *testing.T) {
			//nolint:staticcheck // users still call it, so it must work
			_, err := grpc.Dial(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
			require.ErrorContains(t, err, message)
		})
	}
}

func TestExplainSaysOfBadInputWhatAChannelWould(t *testing.T) {
	for settings, message := range badInput(t, false) {
		_, err := subpool.Explain(`{"loadBalancingConfig":[{"subpool":` + settings + `}]}`)
		require.EqualError(t, err, message)
	}
	for target, message := range badInput(t, true) {
		if _, err := subpool.Explain(target); err != nil { // some only their resolvers refuse
			require.Contains(t, message, strings.TrimPrefix(err.Error(), "subpool: "))
		}
	}
}

// A channel that is asked for nothing but its target must not hang either.
func TestABadTargetFailsAChannelThatIdled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cc, err := grpc.NewClient("subpool:///svc:443?size=0", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithIdleTimeout(time.Second))
		require.NoError(t, err)
		defer cc.Close()
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(ctx, &grpc_testing.Empty{}, grpc.WaitForReady(true))
			require.ErrorContains(t, err, "size: 0, must be 1 to 1024")
			cancel()
			time.Sleep(time.Minute)
		}
	})
}
