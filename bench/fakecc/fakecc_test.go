package fakecc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	_ "google.golang.org/grpc/balancer/roundrobin" // registers round_robin
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
)

func endpoints(names ...string) balancer.ClientConnState {
	var s balancer.ClientConnState
	for _, name := range names {
		s.ResolverState.Endpoints = append(s.ResolverState.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: name}}})
	}
	return s
}

const dial = 10 * time.Millisecond

// dialled waits until all is told, and what is dialled meanwhile is connected.
func dialled() {
	time.Sleep(dial)
	synctest.Wait()
}

// story has a round_robin with two connections, in virtual time.
func story(t *testing.T, f func(*testing.T, *ClientConn)) {
	synctest.Test(t, func(t *testing.T) {
		cc := New(balancer.Get("round_robin"), dial)
		cc.Update(endpoints("a", "b"))
		dialled()
		f(t, cc)
		cc.Close()
	})
}

func TestConnectionsComeWhenTheyAreAskedFor(t *testing.T) {
	story(t, func(t *testing.T, cc *ClientConn) {
		require.Equal(t, 2, cc.Ready())
		require.Equal(t, 2, cc.Made())
		require.Len(t, cc.SubConns(), 2)
		require.Equal(t, connectivity.Ready, cc.State().ConnectivityState)
	})
}

func TestALostConnectionComesAgain(t *testing.T) {
	story(t, func(t *testing.T, cc *ClientConn) {
		before := cc.Published()
		cc.SubConns()[0].Lose()
		dialled()
		require.Greater(t, cc.Published(), before)
		require.Equal(t, 2, cc.Ready())
		require.Equal(t, 2, cc.Made())
	})
}

func TestAnEndpointThatIsReplaced(t *testing.T) {
	story(t, func(t *testing.T, cc *ClientConn) {
		cc.Update(endpoints("b", "c"))
		dialled()
		require.Equal(t, 2, cc.Ready())
		require.Equal(t, 3, cc.Made())
		require.Len(t, cc.SubConns(), 2)
	})
}

func TestAConnectionThatDoesNotServeIsNotPicked(t *testing.T) {
	story(t, func(t *testing.T, cc *ClientConn) {
		sick := cc.SubConns()[0]
		picks := func() (n int) {
			for range 100 {
				res, err := cc.State().Picker.Pick(balancer.PickInfo{})
				require.NoError(t, err)
				if res.SubConn == sick {
					n++
				}
			}
			return n
		}
		require.Equal(t, 50, picks())
		sick.Serve(false)
		synctest.Wait()
		require.Zero(t, picks())
		sick.Serve(true)
		synctest.Wait()
		require.Equal(t, 50, picks())
	})
}

func TestItIsQuietWhenNothingIsTold(t *testing.T) {
	story(t, func(t *testing.T, cc *ClientConn) {
		time.Sleep(time.Second)
		now := time.Now()
		require.True(t, cc.Quiet(now))
		time.Sleep(time.Second)
		cc.SubConns()[0].Serve(true)
		require.False(t, cc.Quiet(now), "it is still to be told")
		synctest.Wait()
		require.False(t, cc.Quiet(now), "it was told since")
		require.True(t, cc.Quiet(time.Now()))
	})
}

func TestADialThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cc := New(balancer.Get("round_robin"), Never)
		cc.Update(endpoints("a", "b"))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 2, cc.Made())
		require.Zero(t, cc.Ready())
		require.Equal(t, connectivity.Connecting, cc.State().ConnectivityState)
		cc.Close()
	})
}

func TestAfterCloseNothingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cc := New(balancer.Get("round_robin"), dial)
		cc.Close()
		cc.Update(endpoints("a"))
		dialled()
		require.Zero(t, cc.Made())
	})
}
