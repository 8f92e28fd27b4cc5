package balancer_test

import (
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// decidedOf returns the decisions of a kind, in words.
func decidedOf(t *testing.T, what string) (why []string) {
	for _, d := range shown(t).Decisions {
		if d.What == what {
			why = append(why, d.Why)
		}
	}
	return why
}

// Guards: Endpoint.tellMissing, and markAll in reconcileLocked: where nothing can grow any more
// the demand would only be looked at with the next sample.
func TestDemandBeyondMaxSizeIsToldWhenItBeginsAndWhenItEnds(t *testing.T) {
	r := harness.NewRecorder()
	opts := harness.Options{Handle: taking(time.Minute), Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(10)}}
	story(t, `{"minSize":1,"maxSize":4,"idleTimeout":"160s","maxLifetime":"0s"}`, opts, func(t *testing.T, c client) {
		c.begin(40)
		time.Sleep(2 * time.Second)
		require.Equal(t, 1, shown(t).Endpoints[0].Missing)
		c.begin(80)
		time.Sleep(2 * time.Second)
		require.Equal(t, 11, shown(t).Endpoints[0].Missing)
		require.Equal(t, 11, r.Sum("subpool.subchannels.missing"))
		require.Len(t, decidedOf(t, "capped"), 1)
		require.Regexp(t, `^demand calls for 5 subchannels, maxSize is 4: (3[3-9]|40) in flight, limit 10 \(server:443\)$`, decidedOf(t, "capped")[0])
		time.Sleep(10 * time.Minute)
		require.Zero(t, shown(t).Endpoints[0].Missing)
		require.Zero(t, r.Sum("subpool.subchannels.missing"))
		require.Equal(t, "demand calls for no more than maxSize 4 any more (server:443)", decidedOf(t, "capped")[1])
	}, grpc.WithStatsHandler(r))
}

// The first four get a stream at once. Of the others four wait a second, then two are left,
// which wait two.
func TestHowLongRPCsWaitIsCounted(t *testing.T) {
	r := harness.NewRecorder()
	opts := harness.Options{Handle: taking(time.Second), Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(4)}}
	story(t, `{"size":1}`, opts, func(t *testing.T, c client) {
		c.begin(10)
		time.Sleep(time.Minute)
		require.InEpsilon(t, 4*1+2*2, shown(t).Totals.WaitSeconds, 1e-9)
		require.Equal(t, 6, r.Sum("subpool.calls.wait_duration"))
		require.InEpsilon(t, 1, r.Least("subpool.calls.wait_duration"), 1e-9)
	}, grpc.WithStatsHandler(r))
}

func TestSettingsThatAreNotKnownAreShown(t *testing.T) {
	story(t, `{"size":2,"maxsize":8,"pikcer":"round_robin"}`, harness.Options{}, func(t *testing.T, _ client) {
		require.Equal(t, []string{"maxsize", "pikcer"}, shown(t).Ignored)
		require.Equal(t, []string{"unknown settings are ignored: maxsize, pikcer"}, decidedOf(t, "settings"))
	})
}

func TestANameTellsPoolsOfOneTargetApart(t *testing.T) {
	story(t, `{"size":2,"name":"reports"}`, harness.Options{}, func(t *testing.T, _ client) {
		require.Equal(t, "reports", shown(t).Name)
	})
}

// Where the state is READY the error is that of attempts that fail now.
//
// Guards: `shown.Error == ""` in snapshotLocked.
func TestWhyAttemptsFailIsShownThoughOthersServe(t *testing.T) {
	story(t, `{"size":2}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		require.Empty(t, shown(t).Error)
		c.Break(harness.Refuse)
		c.Cut(1)
		synctest.Wait()
		require.Equal(t, "READY", shown(t).State)
		require.Contains(t, shown(t).Error, "last connection error: ")
		c.Break(harness.None)
		time.Sleep(time.Minute)
		require.Empty(t, shown(t).Error)
	})
}

// On sockets, for only these have what the system knows.
func TestASnapshotShowsWhatTheSystemKnowsOfAConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	cc, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(harness.Policy(`{"size":2}`)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	cc.Connect()
	var seen []inspect.Subchannel
	require.Eventually(t, func() bool {
		p, _ := pool(t).Snapshot()
		seen = nil
		for _, e := range p.Endpoints {
			for _, sub := range e.Subchannels {
				if sub.State == "ready" {
					seen = append(seen, sub)
				}
			}
		}
		return len(seen) == 2
	}, time.Minute, time.Millisecond)
	for _, sub := range seen {
		assert.Equal(t, l.Addr().String(), sub.Remote)
		assert.True(t, strings.HasPrefix(sub.Local, "127.0.0.1:"), sub.Local)
		assert.NotZero(t, sub.ChannelzID)
		if runtime.GOOS == "linux" && runtime.GOARCH != "386" {
			require.NotNil(t, sub.TCP)
			assert.Positive(t, sub.TCP.RTT)
			assert.Positive(t, sub.TCP.CongestionWindow)
		}
	}
	assert.NotEqual(t, seen[0].Local, seen[1].Local)
	assert.NotEqual(t, seen[0].ChannelzID, seen[1].ChannelzID)
}
