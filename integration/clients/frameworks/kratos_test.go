package frameworks

import (
	"context"
	"testing"

	kratos "github.com/go-kratos/kratos/v2/transport/grpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

func newKratos(ctx context.Context, address, pool string) (*grpc.ClientConn, error) {
	// docs: kratos
	conn, err := kratos.DialInsecure(ctx,
		kratos.WithEndpoint("dns:///"+address),
		kratos.WithOptions(grpc.WithDefaultServiceConfig(pool)), // in place of selector
	)
	// end
	return conn, err
}

func TestKratos(t *testing.T) {
	s := start(t, nil)
	conn, err := newKratos(t.Context(), s.Addr(), pool)
	require.NoError(t, err)
	defer conn.Close()
	harness.Renewed(t, s.Accepted, emptyCall(conn))
}
