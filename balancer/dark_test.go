package balancer_test

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// within makes one RPC with this deadline.
func (c client) within(d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	_, err := grpc_testing.NewTestServiceClient(c).EmptyCall(ctx, &grpc_testing.Empty{})
	return err
}

// failures makes RPCs with this deadline, one every ten milliseconds for that long,
// and returns when each that failed began.
func (c client) failures(deadline, long time.Duration) (failed []time.Duration) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	begin := time.Now()
	for ; time.Since(begin) < long; time.Sleep(10 * time.Millisecond) {
		at := time.Since(begin)
		wg.Go(func() {
			if c.within(deadline) != nil {
				mu.Lock()
				failed = append(failed, at)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return failed
}

// Guards: `s.conn.suspect()` in lifecycle.Endpoint.due, and `s.Suspect() == suspect` in
// endpoint.readyLoads.
func TestAConnectionThatWentDarkIsReplaced(t *testing.T) {
	for _, how := range []harness.Darkness{harness.Swallow, harness.Stall} {
		story(t, `{"size":4,"unresponsiveTimeout":"1s"}`, harness.Options{Handle: taking(5 * time.Millisecond)}, func(t *testing.T, c client) {
			require.Empty(t, c.failures(300*time.Millisecond, time.Second))
			c.Darken(how, 2)
			failed := c.failures(300*time.Millisecond, 20*time.Second)
			require.NotEmpty(t, failed)
			t.Logf("%d RPCs failed, the last began after %v", len(failed), failed[len(failed)-1])
			require.Less(t, failed[len(failed)-1], 6*time.Second)
			require.Equal(t, 5, c.Accepted())
			if how == harness.Swallow {
				require.Equal(t, 4, c.Open(), "and the dark one is gone")
			}
		})
	}
}

// Guards: `Suspects: p.endpoints.sum.suspect` in pickerLocked, and `s.Suspect() == suspect` in
// endpoint.readyLoads.
func TestADarkConnectionIsSparedWhileItsSuccessorDials(t *testing.T) {
	story(t, `{"size":4,"unresponsiveTimeout":"1s"}`, harness.Options{Handle: taking(5 * time.Millisecond)}, func(t *testing.T, c client) {
		c.Darken(harness.Swallow, 2)
		c.Break(harness.Hang)
		failed := c.failures(300*time.Millisecond, 15*time.Second)
		require.NotEmpty(t, failed)
		require.Less(t, failed[len(failed)-1], 6*time.Second)
		require.Equal(t, 5, c.Dials(), "the last one hangs")
	})
}

// Guards: `2*x.gap` in lifecycle.Endpoint.suspect, and that a suspect connection is READY.
func TestADarkConnectionReturnsWhenNoOtherCanBeMade(t *testing.T) {
	story(t, `{"size":2,"unresponsiveTimeout":"1s"}`, harness.Options{}, func(t *testing.T, c client) {
		c.Darken(harness.Swallow, 1, 2)
		c.Break(harness.Refuse)
		for begin := time.Now(); time.Since(begin) < 10*time.Minute; {
			require.Equal(t, codes.DeadlineExceeded, status.Code(c.within(300*time.Millisecond)))
			require.Equal(t, connectivity.Ready, c.GetState())
		}
		t.Logf("%d dials in ten minutes", c.Dials()-2)
		require.Less(t, c.Dials()-2, 20)
		require.Equal(t, 2, c.Accepted())
	})
}

// Guards: `2*x.gap` in lifecycle.Endpoint.suspect. A server that answers nothing looks like
// a connection that went dark, each time again.
func TestAServerThatAnswersNothingIsNotDialledWithoutEnd(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		silent(t, `{"size":4,"unresponsiveTimeout":"1s"}`, nil, func(t *testing.T, c client, s *harness.SilentServer) {
			before := s.Dials()
			s.Refuse.Store(refuse)
			for begin := time.Now(); time.Since(begin) < 10*time.Minute; {
				require.Equal(t, codes.DeadlineExceeded, status.Code(c.within(300*time.Millisecond)))
				require.Equal(t, connectivity.Ready, c.GetState())
			}
			t.Logf("%d dials in ten minutes, refused %v", s.Dials()-before, refuse)
			require.Less(t, s.Dials()-before, 20)
		})
	}
}

// Guards: `info.BytesSent && !info.BytesReceived` in load.Load.fail.
func TestRPCsThatWaitForAStreamRaiseNoSuspicion(t *testing.T) {
	silent(t, `{"size":1,"unresponsiveTimeout":"1s"}`, func(int) bool { return false }, func(t *testing.T, c client, s *harness.SilentServer) {
		s.Allow(1)
		c.begin(1)
		for range 100 {
			require.Error(t, c.within(100*time.Millisecond))
		}
		require.Equal(t, 1, s.Dials())
	})
}

// Guards: `u.received.Load() != received+1` in unanswered.add.
func TestDeadlinesThatAreTooShortRaiseNoSuspicion(t *testing.T) {
	answered := func(rpc int) bool { return rpc%20 == 0 }
	silent(t, `{"size":1,"unresponsiveTimeout":"1s"}`, answered, func(t *testing.T, c client, s *harness.SilentServer) {
		failed := 0
		for range 200 {
			if c.within(50*time.Millisecond) != nil {
				failed++
			} else {
				time.Sleep(50 * time.Millisecond)
			}
		}
		require.Equal(t, 190, failed)
		require.Equal(t, 1, s.Dials())
	})
}

// silent runs in virtual time a server that sends nothing but these answers.
func silent(t *testing.T, settings string, answers func(int) bool, tell func(*testing.T, client, *harness.SilentServer)) {
	synctest.Test(t, func(t *testing.T) {
		s := &harness.SilentServer{Answers: answers}
		s.Start(t)
		cc, err := grpc.NewClient("passthrough:///server:443", grpc.WithContextDialer(s.Dial),
			grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(harness.Policy(settings)))
		require.NoError(t, err)
		t.Cleanup(func() { _ = cc.Close() })
		cc.Connect()
		synctest.Wait()
		tell(t, client{t, cc, nil}, s)
	})
}

// clog makes RPCs that end by their deadlines, until the writer of a dark connection
// that takes nothing is blocked: headers know no flow control.
func (c client) clog() {
	for range 40 {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		ctx = metadata.AppendToOutgoingContext(ctx, "much", strings.Repeat(rand.Text(), 1<<9))
		_, _ = grpc_testing.NewTestServiceClient(c).EmptyCall(ctx, &grpc_testing.Empty{})
		cancel()
	}
}

// The test fails by itself if a goroutine is left when its bubble ends.
//
// Guards: the loop over closing in Close; `transport.ForceCloseAfter(closeWithin)` in
// closeSoonLocked, for the channel that goes idle.
func TestNothingIsLeftOfADarkConnection(t *testing.T) {
	serverTLS, clientTLS := harness.TLS(t, "server")
	for _, how := range []harness.Darkness{harness.Swallow, harness.Stall} {
		for _, secure := range []bool{false, true} {
			for _, settings := range []string{
				`{"size":2}`,
				`{"size":2,"maxLifetime":"1s","drainTimeout":"3s"}`,
				`{"size":2,"maxLifetime":"1s"}`,
				`{"size":2,"unresponsiveTimeout":"100ms"}`,
			} {
				for _, idle := range []time.Duration{0, 2 * time.Second} {
					opts, creds := harness.Options{}, insecure.NewCredentials()
					if secure {
						opts.TLS, creds = serverTLS, credentials.NewTLS(clientTLS)
					}
					story(t, settings, opts, func(t *testing.T, c client) {
						require.NoError(t, c.call())
						c.Darken(how, 1, 2)
						c.clog()
						time.Sleep(2 * idle)
						begin := time.Now()
						require.NoError(t, c.Close())
						t.Logf("%s, darkness %d, TLS %v: closed in %v", settings, how, secure, time.Since(begin))
					}, grpc.WithTransportCredentials(creds), grpc.WithIdleTimeout(idle))
				}
			}
		}
	}
}

// Guards: `transport.ForceCloseAfter(closeWithin)` in closeSoonLocked, and the loop over
// closing in Close. gRPC waits for streams of RPCs that have ended, for their RST_STREAM
// cannot be written.
func TestWhatIsShutDownIsGoneWithinASecond(t *testing.T) {
	for _, closed := range []bool{false, true} {
		whatIsShutDownIsGone(t, closed)
	}
}

func whatIsShutDownIsGone(t *testing.T, closed bool) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		r, d := resolverOf("a:1"), &dialled{open: map[string]int{}}
		c := client{t, channelOf(t, s, r, harness.Policy(`{"size":1}`), d.dialer(s)), s}
		require.NoError(t, c.call())
		c.Darken(harness.Stall, 1)
		c.clog()
		open := func() int { d.Lock(); defer d.Unlock(); return d.open["a:1"] }
		r.UpdateState(addresses("b:1"))
		if closed {
			time.Sleep(100 * time.Millisecond)
			require.NoError(t, c.Close())
			require.Zero(t, open(), "with the channel")
			return
		}
		time.Sleep(999 * time.Millisecond)
		require.Equal(t, 1, open())
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		require.Zero(t, open())
	})
}

// Guards: `limited && e.clock.reached(at)` in lifecycle.Endpoint.closeDrained, and
// `transport.ForceClose(cause)` in shutdownLocked.
func TestAConnectionThatDoesNotDrainInTimeIsClosedByForce(t *testing.T) {
	story(t, `{"size":2,"maxLifetime":"7s","lifetimeJitter":0,"drainTimeout":"5s"}`, harness.Options{Handle: taking(10 * time.Millisecond)}, func(t *testing.T, c client) {
		end := c.streams(2)
		defer end()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		stream, err := grpc_testing.NewTestServiceClient(c).FullDuplexCall(ctx)
		require.NoError(t, err)
		stop := c.load(4)
		time.Sleep(11 * time.Second)
		require.Equal(t, 4, c.Open(), "two drain")
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, 2, c.Open())
		_, err = stream.Recv()
		require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
		require.ErrorContains(t, err, "subpool: drainTimeout: 5s, the connection was retired and its RPCs did not end in time")
		_, failed, _ := stop()
		require.Empty(t, failed, "none of those that ended")
	})
}
