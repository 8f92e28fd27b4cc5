package balancer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpc-subpool/subpool/internal/harness"
	"github.com/grpc-subpool/subpool/internal/witness"
)

// tokens are credentials of each RPC.
type tokens struct {
	err    error
	secure bool
}

func (c tokens) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return nil, c.err
}
func (c tokens) RequireTransportSecurity() bool { return c.secure }

// Guards: `if info.BytesSent` in load.New. On the network the connection is silent.
func TestRPCsThatHaveNoTokenDoNotKeepAConnectionFromBeingRefreshed(t *testing.T) {
	noToken := grpc.WithPerRPCCredentials(tokens{err: errors.New("no token")})
	story(t, `{"size":1,"idleTimeout":"20s","maxLifetime":"0s"}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(100 * time.Millisecond) // an RPC in flight counts where a sample is taken, each 1.25 s
		for range 600 {
			require.ErrorContains(t, c.call(), "no token")
			time.Sleep(time.Second)
		}
		require.Greater(t, c.Accepted(), 600/20)
	}, noToken, grpc.WithIdleTimeout(0))
}

// Guards: flapError, and `p.failure.connection = cause` in lostLocked.
func TestTheGoAwayIsToldOfAConnectionThatFlapped(t *testing.T) {
	silent(t, `{"size":1}`, always, func(t *testing.T, c client, s *harness.SilentServer) {
		none := int32(0)
		s.Greets.Store(&none)
		s.Hangup()
		time.Sleep(10 * time.Second)
		told := func(words string) bool {
			for _, d := range shown(t).Decisions {
				if strings.Contains(d.Why, words) {
					return true
				}
			}
			return false
		}
		require.True(t, told("the server ended the connection within 1s of accepting it: GOAWAY, code: NO_ERROR"))
	})
}

// Guards: `e.SetWanted()` in lifecycle.Endpoint.Wake. Nothing else tells a policy that the
// network is back.
func TestConnectMakesOneAttemptInTheBackoffAfterFlaps(t *testing.T) {
	story(t, `{"size":1}`, harness.Options{}, func(t *testing.T, c client) {
		require.NoError(t, c.call())
		for range 3 { // proven, the first flap, and one more
			c.Cut()
			synctest.Wait()
		}
		require.Equal(t, connectivity.Connecting, c.GetState(), "an RPC, or Connect, makes an attempt at once")
		require.Equal(t, 3, c.Dials())
		c.Connect()
		synctest.Wait()
		require.Equal(t, connectivity.Ready, c.GetState())
		require.Equal(t, 4, c.Dials())
	})
}

// Guards: `demand <= 1` in lifecycle's sizeFor. Two in flight call for three.
func TestOneRPCCallsForOneConnectionHoweverSmallTheLimit(t *testing.T) {
	story(t, `{"minSize":1,"maxSize":4,"targetStreams":1}`, harness.Options{Handle: forever}, func(t *testing.T, c client) {
		c.begin(1)
		time.Sleep(time.Minute)
		require.Equal(t, 1, c.Accepted())
		c.begin(1)
		time.Sleep(time.Second)
		require.Equal(t, 3, c.Accepted())
	})
}

// weak is a handshake that secures nothing, and does not say so before.
type weak struct {
	credentials.TransportCredentials
}

func (weak) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "weak"}
}
func (w weak) Clone() credentials.TransportCredentials { return w }

// gRPC gives such a connection up after its handshake, and closes the connection that the
// h2conn.Conn wraps: Close of the Conn is not called.
//
// Guards: `c.closed.Store(true)` in h2conn.Conn.ForceClose.
func TestAConnectionThatIsTooWeakForItsCredentialsIsForgotten(t *testing.T) {
	var closing atomic.Int64
	before := witness.Settled
	defer func() { witness.Settled = before }()
	witness.Settled = func(p witness.Pool) { closing.Store(int64(p.Closing)); before(p) }
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(weak{insecure.NewCredentials()}),
		grpc.WithPerRPCCredentials(tokens{secure: true}),
	}
	story(t, `{"minSize":0,"idleTimeout":"16s"}`, harness.Options{}, func(t *testing.T, c client) {
		most := int64(0)
		for range 20 {
			require.ErrorContains(t, c.call(), "cannot send secure credentials on an insecure connection")
			time.Sleep(time.Minute) // it is idle, and its SubConn is shut down
			most = max(most, closing.Load())
		}
		require.LessOrEqual(t, most, int64(1))
	}, slices.Concat(opts)...)
}
