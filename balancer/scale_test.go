package balancer_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// dialTimes notes when a channel dials.
type dialTimes struct {
	mu sync.Mutex
	at []time.Time
}

func (d *dialTimes) option(s *harness.Server) grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		d.mu.Lock()
		d.at = append(d.at, time.Now())
		d.mu.Unlock()
		return s.Dial(ctx, addr)
	})
}

// most returns the most dials within a time.
func (d *dialTimes) most(within time.Duration) (most int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, from := range d.at {
		n := 0
		for _, at := range d.at[i:] {
			if at.Before(from.Add(within)) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func many(n int) (addrs []string) {
	for i := range n {
		addrs = append(addrs, fmt.Sprintf("%d:1", i))
	}
	return addrs
}

// Guards: `wave-d.begun` in dials.left, `p.dials.take` in markDueLocked, and `most == 0` in
// lifecycle.Endpoint.startAttempts.
func TestAPoolOfManyConnectsInWaves(t *testing.T) {
	for _, shape := range []struct{ endpoints, size int }{{1, 600}, {600, 1}, {30, 20}} {
		t.Run(fmt.Sprintf("%d × %d", shape.endpoints, shape.size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dials := harness.Start(t, harness.Options{}), new(dialTimes)
				policy := harness.Policy(fmt.Sprintf(`{"size":%d}`, shape.size))
				c := client{t, channelOf(t, s, resolverOf(many(shape.endpoints)...), policy, dials.option(s)), s}
				c.Connect()
				synctest.Wait()
				require.Equal(t, 256, s.Open(), "the first wave, at once")
				require.NoError(t, c.call())
				time.Sleep(200 * time.Millisecond)
				synctest.Wait()
				require.Equal(t, 600, s.Open())
				require.Equal(t, 256, dials.most(100*time.Millisecond))
			})
		})
	}
}

// Guards: dials.share.
func TestAWaveTriesEachServerBeforeItsDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		allHangButTheLast := grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			if addr != "199:1" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return s.Dial(ctx, addr)
		})
		c := client{t, channelOf(t, s, resolverOf(many(200)...), harness.Policy(`{"size":4}`), allHangButTheLast), s}
		begin := time.Now()
		require.NoError(t, c.call())
		require.Zero(t, time.Since(begin), "it waited for a second wave")
	})
}

// Guards: that 64 connections and less are none too many for a wave.
func TestAPoolOfFewConnectsAtOnce(t *testing.T) {
	story(t, `{"size":64}`, harness.Options{}, func(t *testing.T, c client) {
		require.Equal(t, 64, c.Open())
	})
}

// Guards: waitsForMoreLocked: without it there is a picker for each connection.
func TestABurstOfConnectionsMakesFewPickers(t *testing.T) {
	counted.mu.Lock()
	counted.seen = nil
	counted.mu.Unlock()
	story(t, `{"picker":"counted","size":250}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(10 * time.Millisecond)
		counted.mu.Lock()
		defer counted.mu.Unlock()
		require.Equal(t, 250, counted.seen[len(counted.seen)-1])
		require.Less(t, len(counted.seen), 64+10, "few, and then one now and then")
	})
}

// Guards: `x.mark(e)` in setEndpointsLocked, for new endpoints and for those that changed.
func TestOneOfHundredsOfEndpointsComesAndOneGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const all = 300
		addrs := many(all + 60)
		s, m := harness.Start(t, harness.Options{Handle: taking(5 * time.Millisecond)}), resolverOf(addrs[:all]...)
		c := client{t, channelOf(t, s, m, harness.Policy(`{"size":2}`)), s}
		c.Connect()
		time.Sleep(time.Second)
		require.Equal(t, 2*all, s.Open())
		stop := c.load(20)
		for i := range 20 {
			m.UpdateState(addresses(addrs[3*i : 3*i+all]...))
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(time.Second)
		done, failed, _ := stop()
		require.Empty(t, failed)
		require.Positive(t, done)
		require.Equal(t, 2*all, s.Open())
		require.Equal(t, 2*(all+3*19), s.Accepted())
	})
}

// The order of the addresses of an endpoint does not matter.
//
// Guards: leastAddr.
func TestAnEndpointIsKnownWhateverTheOrderOfItsAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other := resolver.Address{Addr: "a:1"}, resolver.Address{Addr: "b:1"}
		s, m := harness.Start(t, harness.Options{}), resolverOf()
		m.InitialState(resolver.State{Endpoints: []resolver.Endpoint{{Addresses: []resolver.Address{other, one}}}})
		c := client{t, channelOf(t, s, m, harness.Policy(`{"size":2}`)), s}
		c.Connect()
		time.Sleep(time.Second)
		m.UpdateState(resolver.State{Endpoints: []resolver.Endpoint{{Addresses: []resolver.Address{one, other}}}})
		time.Sleep(time.Second)
		require.NoError(t, c.call())
		require.Equal(t, 2, s.Accepted())
	})
}

// Guards: `s.phase == Idle && s.waits` in lifecycle.Subchannel.Pending: RPCs are held for a
// connection that waits for its wave, too, and are not queued behind those that never end.
func TestRPCsAreHeldForConnectionsThatWaitForTheirWave(t *testing.T) {
	for _, settings := range []string{`{"minSize":1,"maxSize":400,"maxPending":0}`, `{"minSize":1,"maxSize":400}`} {
		opts := harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(1)}}
		story(t, settings, opts, func(t *testing.T, c client) {
			ended := c.begin(320)
			time.Sleep(2 * time.Second)
			require.Equal(t, 320, sum(c.Calls()))
			for _, err := range ended() {
				require.Equal(t, codes.DeadlineExceeded, status.Code(err))
			}
		})
	}
}

// An endpoint that is removed has no subchannels but those that drain.
//
// Guards: `e.Used()` in lifecycle.Endpoint.Plan: its use is over in time, too.
func TestARemovedEndpointThatDrainsKeepsNoOtherConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := harness.Start(t, harness.Options{}), resolverOf("a:1")
		policy := harness.Policy(`{"minSize":0,"idleTimeout":"16s","maxLifetime":"0s"}`)
		c := client{t, channelOf(t, s, m, policy, grpc.WithIdleTimeout(0)), s}
		end := c.stream()
		defer end()
		time.Sleep(time.Second)
		m.UpdateState(addresses("b:1"))
		time.Sleep(time.Minute)
		require.Equal(t, connectivity.Idle, c.GetState())
		require.Equal(t, 1, s.Open())
	})
}

// An endpoint has ended, and a connection of it lingers with an RPC.
//
// Guards: `!e.plan.Ended` in endpoints.mark: the use of those that ended would wake the rest.
func TestWhatIsLeftOfAnEndpointWakesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := harness.Start(t, harness.Options{}), resolverOf("a:1")
		policy := harness.Policy(`{"minSize":0,"idleTimeout":"16s","maxLifetime":"0s"}`)
		c := client{t, channelOf(t, s, m, policy, grpc.WithIdleTimeout(0)), s}
		end := c.stream()
		time.Sleep(time.Second)
		m.UpdateState(addresses())
		time.Sleep(time.Second)
		go s.Replace().GracefulStop()
		time.Sleep(time.Second)
		m.UpdateState(addresses()) // by now none is used
		m.UpdateState(addresses("b:1", "c:1", "d:1"))
		time.Sleep(time.Second)
		require.Equal(t, connectivity.Idle, c.GetState())
		accepted := s.Accepted()
		end()
		time.Sleep(time.Second)
		require.Equal(t, connectivity.Idle, c.GetState())
		require.Equal(t, accepted, s.Accepted())
	})
}
