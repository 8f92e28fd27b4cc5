package balancer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// slowCredentials take their time between the pick and the stream: a SubConn that is shut
// down meanwhile loses these RPCs.
type slowCredentials time.Duration

func (d slowCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	time.Sleep(time.Duration(d))
	return nil, nil
}

func (slowCredentials) RequireTransportSecurity() bool { return false }

// Some RPCs wait for a stream at the limit, some fetch credentials, and one holds its
// connection open for ever.
//
// Guards: `case s.conn.facts.Drained` in lifecycle.Endpoint.closeDrained. Shut down at once
// after the publication instead, an RPC is stranded behind a long stream until
// its deadline, in every run.
func TestNoRPCIsLostOrStrandedWhileConnectionsAreRenewed(t *testing.T) {
	const settings = `{"size":8,"maxLifetime":"0.4s","idleTimeout":"0s"}`
	opts := harness.Options{
		Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)},
		Handle: taking(20 * time.Millisecond),
	}
	story(t, settings, opts, func(t *testing.T, c client) {
		defer c.streams(3)()
		stop := c.load(24)
		time.Sleep(8 * time.Second)
		done, failed, slowest := stop()
		t.Logf("%d RPCs, %d failed, the slowest took %v; %d connections made", done, len(failed), slowest, c.Accepted())
		require.Empty(t, failed)
		require.Less(t, slowest, 2*time.Second)
		require.GreaterOrEqual(t, c.Accepted(), 80)
	}, grpc.WithPerRPCCredentials(slowCredentials(30*time.Millisecond)))
}

// A renewal changes which connections there are, and not how many.
//
// Guards: `(*l)[n] != x` in loads.equal. If their number
// alone were compared, the picker would know only what drains.
func TestAfterARenewalRPCsGoToTheNewConnection(t *testing.T) {
	story(t, `{"size":1,"maxLifetime":"10s","idleTimeout":"0s","lifetimeJitter":0}`, harness.Options{}, func(t *testing.T, c client) {
		for range 3 {
			require.NoError(t, c.call())
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		require.Equal(t, map[int]int{1: 1, 2: 1, 3: 1}, c.Calls())
	})
}

// Guards: `e.settings.MaxSize - len(e.draining)` in lifecycle.Endpoint.open; long streams on
// every connection would pile up connections.
func TestConnectionsStayWithinTheBudget(t *testing.T) {
	story(t, `{"size":3,"maxLifetime":"10s","idleTimeout":"0s"}`, harness.Options{}, func(t *testing.T, c client) {
		for range 12 { // each life gets streams of its own
			for range 6 {
				defer c.stream()()
			}
			time.Sleep(10 * time.Second)
			require.LessOrEqual(t, c.Open(), 3+1+3, "size + budget + draining")
		}
	})
}

// Guards: `call(l.signals.Changed)` in load.Load.releaseSlow and
// `p.signals.changed.take()` in reconcileLocked; nothing else wakes the pool then.
func TestARetiredConnectionIsClosedWhenItsLastStreamEnds(t *testing.T) {
	story(t, `{"size":1,"maxLifetime":"10s","idleTimeout":"0s","lifetimeJitter":0}`, harness.Options{}, func(t *testing.T, c client) {
		for range 2 {
			end := c.stream()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			require.Equal(t, 2, c.Open())
			end()
			require.Equal(t, 1, c.Open())
		}
	})
}

// RPCs that give up while they wait for a stream have had a place, too.
//
// Guards: `l.CancelReserve()` in load.New, for RPCs that never sent anything.
func TestRPCsThatGaveUpWaitingDoNotKeepARetiredConnection(t *testing.T) {
	opts := harness.Options{Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}}
	story(t, `{"size":1,"maxLifetime":"10s","idleTimeout":"0s","lifetimeJitter":0}`, opts, func(t *testing.T, c client) {
		ends := []func(){c.stream(), c.stream()}
		for range 5 {
			require.Equal(t, codes.DeadlineExceeded, status.Code(c.within(100*time.Millisecond)))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, 2, c.Open())
		for _, end := range ends {
			end()
		}
		require.Equal(t, 1, c.Open())
	})
}

// Guards: `s.move(Closed, Draining)` in lifecycle.Subchannel.lost; the SubConn would be left
// behind, and dial again.
func TestARetiredConnectionThatIsLostStaysLost(t *testing.T) {
	story(t, `{"size":1,"maxLifetime":"1h","idleTimeout":"0s","lifetimeJitter":0}`, harness.Options{}, func(t *testing.T, c client) {
		defer c.stream()()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 2, c.Open())
		c.Cut(1)
		time.Sleep(10 * time.Minute)
		require.Equal(t, 2, c.Accepted())
	}, grpc.WithIdleTimeout(0))
}

// Guards: `jitter: jitter` in lifecycle.Subchannel.connected; all would have the same life.
func TestConnectionsMadeTogetherAreNotRenewedTogether(t *testing.T) {
	story(t, `{"size":8,"maxLifetime":"1h","idleTimeout":"0s","lifetimeJitter":0.5}`, harness.Options{}, func(t *testing.T, c client) {
		renewedAt := make(map[time.Duration]bool)
		begin, seen := time.Now(), c.Accepted()
		for time.Since(begin) < time.Hour {
			time.Sleep(time.Second)
			if now := c.Accepted(); now != seen {
				renewedAt[time.Since(begin)], seen = true, now
			}
			require.LessOrEqual(t, c.Open(), 9)
		}
		// Chance puts two of eight into one second of half an hour once in 60 tests.
		require.GreaterOrEqual(t, len(renewedAt), 6, "seconds in which something was renewed")
		for at := range renewedAt {
			require.GreaterOrEqual(t, at, 30*time.Minute)
		}
	}, grpc.WithIdleTimeout(0))
}

// Guards: `sub.sc.Shutdown()` in shutdownLocked; the old connection would stay
// open although nothing uses it.
func TestAnUnusedPoolStillRenews(t *testing.T) {
	story(t, `{"size":4,"maxLifetime":"1h","idleTimeout":"0s"}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(100 * time.Hour)
		synctest.Wait()
		require.Equal(t, 4, c.Open())
		require.InDelta(t, 4*100/0.875, c.Accepted(), 40) // lives are 3/4 to 1 hour
	}, grpc.WithIdleTimeout(0))
}

// Guards: `if !l.Reserve()` in picker.wrapped.Pick: a foreign picker knows
// nothing of draining.
func TestAForeignPickerLosesNothingEither(t *testing.T) {
	opts := harness.Options{Handle: taking(20 * time.Millisecond)}
	story(t, `{"size":4,"maxLifetime":"0.4s","idleTimeout":"0s","picker":"counted"}`, opts, func(t *testing.T, c client) {
		stop := c.load(16)
		time.Sleep(8 * time.Second)
		_, failed, slowest := stop()
		require.Empty(t, failed)
		require.Less(t, slowest, time.Second)
		require.GreaterOrEqual(t, c.Accepted(), 70)
	})
}

// Guards: `p.cc.ResolveNow` in carryOutLocked, and `e.next.Resolve` in lifecycle.Endpoint.open:
// the successor should connect to what the name resolves to now.
func TestEachRenewalAsksTheResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		asked := 0
		r := manual.NewBuilderWithScheme("test")
		r.ResolveNowCallback = func(resolver.ResolveNowOptions) { asked++ }
		r.InitialState(resolver.State{Addresses: []resolver.Address{{Addr: "a:1"}}})
		cc := channelOf(t, s, r, harness.Policy(`{"size":4,"maxLifetime":"1m","idleTimeout":"0s"}`))
		cc.Connect()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 8, s.Accepted())
		require.Equal(t, 4, asked)
	})
}
