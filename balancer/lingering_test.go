package balancer_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// A pinged stream tells whether it is alive.
type pinged struct {
	grpc_testing.TestService_FullDuplexCallClient
}

func (c client) pinged() pinged {
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(cancel)
	st, err := grpc_testing.NewTestServiceClient(c).FullDuplexCall(ctx)
	require.NoError(c.t, err)
	require.NoError(c.t, pinged{st}.ping())
	return pinged{st}
}

func (s pinged) ping() error {
	_ = s.Send(&grpc_testing.StreamingOutputCallRequest{ResponseParameters: []*grpc_testing.ResponseParameters{{Size: 1}}})
	_, err := s.Recv()
	return err
}

// A server that is replaced sends GOAWAY, refuses new connections, and is no more in the
// resolver's answer: streams that it still has must end well.
//
// Guards: `sub.observer.Forget()` in subConnChanged: the connection that is closed by force
// within closeWithin after Shutdown would be the one that the SubConn had before.
func TestStreamsOutliveARollingDeployment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		r := resolverOf("a:1")
		c := client{t, channelOf(t, s, r, harness.Policy(`{"size":1}`)), s}
		st := c.pinged()
		time.Sleep(time.Minute)
		s.Break(harness.Refuse)
		s.GoAway(t, 1)
		time.Sleep(500 * time.Millisecond)
		r.UpdateState(addresses("b:1"))
		for range 10 {
			time.Sleep(time.Second)
			require.NoError(t, st.ping())
		}
	})
}

// Guards: the same for a subchannel that drains, and for a policy that is closed; with
// drainTimeout, the loop over p.leftovers.lingering in resetTimerLocked.
func TestStreamsOutliveTheGoAwayOfAConnectionThatDrains(t *testing.T) {
	for _, settings := range []string{
		`{"size":1,"maxLifetime":"10s","lifetimeJitter":0}`,
		`{"size":1,"maxLifetime":"10s","lifetimeJitter":0,"drainTimeout":"6s"}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := harness.Start(t, harness.Options{})
			r := resolverOf("a:1")
			c := client{t, channelOf(t, s, r, harness.Policy(settings)), s}
			st := c.pinged()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			require.Equal(t, 2, c.Accepted())
			s.GoAway(t, 1)
			time.Sleep(2500 * time.Millisecond)
			require.NoError(t, st.ping())
			if settings == `{"size":1,"maxLifetime":"10s","lifetimeJitter":0}` {
				state := addresses("a:1")
				state.ServiceConfig = r.CC().ParseServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`)
				r.UpdateState(state)
				time.Sleep(10 * time.Second)
				require.NoError(t, st.ping())
				return
			}
			time.Sleep(4 * time.Second)
			require.Equal(t, codes.Unavailable, status.Code(st.ping()))
		})
	}
}

// Guards: the same where the SubConn to another address connected.
func TestStreamsOutliveAnAttemptThatConnectsToAnotherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		var refuse atomic.Bool
		dial := grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			if addr == "a:1" && refuse.Load() {
				return nil, &net.OpError{Op: "dial", Err: net.ErrClosed}
			}
			return s.Dial(ctx, addr)
		})
		r := resolverOf()
		r.InitialState(alternatives("a:1", "b:1"))
		c := client{t, channelOf(t, s, r, harness.Policy(`{"size":1}`), dial), s}
		st := c.pinged()
		time.Sleep(time.Minute)
		refuse.Store(true)
		c.GoAway(t, 1)
		time.Sleep(5 * time.Second)
		require.Equal(t, 2, c.Accepted())
		require.NoError(t, st.ping())
	})
}

// A connection that carries an RPC when the policy is closed lingers, and must be closed when
// that RPC has ended.
//
// Guards: `p.closeLingeringLocked(now)` before the return of a closed pool in reconcileLocked.
func TestADarkConnectionIsClosedThoughThePolicyIsClosedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{Handle: forever})
		r, d := resolverOf("a:1"), &dialled{open: map[string]int{}}
		c := client{t, channelOf(t, s, r, harness.Policy(`{"size":1}`), d.dialer(s)), s}
		open := func() int { d.Lock(); defer d.Unlock(); return d.open["a:1"] }
		c.Connect()
		synctest.Wait()
		ended := make(chan error, 1)
		go func() { ended <- c.within(10 * time.Second) }()
		synctest.Wait()
		c.Darken(harness.Stall, 1)
		c.clog()
		state := addresses("a:1")
		state.ServiceConfig = r.CC().ParseServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`)
		r.UpdateState(state)
		time.Sleep(5 * time.Second)
		require.Equal(t, 2, open(), "the RPC has time")
		require.Equal(t, codes.DeadlineExceeded, status.Code(<-ended))
		time.Sleep(1100 * time.Millisecond)
		require.Equal(t, 1, open())
	})
}
