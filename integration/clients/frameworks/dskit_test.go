package frameworks

import (
	"flag"
	"testing"

	"github.com/grafana/dskit/grpcclient"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

func newDskit(config *grpcclient.Config, target, pool string) (*grpc.ClientConn, error) {
	// docs: dskit
	opts, err := config.DialOption(nil, nil, nil)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(target, append(opts, grpc.WithDefaultServiceConfig(pool))...)
	// end
	return conn, err
}

func TestDskit(t *testing.T) {
	s := start(t, nil)
	var config grpcclient.Config
	config.RegisterFlags(flag.NewFlagSet("", flag.PanicOnError))
	conn, err := newDskit(&config, "dns:///"+s.Addr(), pool)
	require.NoError(t, err)
	defer conn.Close()
	harness.Renewed(t, s.Accepted, emptyCall(conn))
}
