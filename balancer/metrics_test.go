package balancer_test

import (
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/experimental/stats"
	gstats "google.golang.org/grpc/stats"

	subpoolbalancer "github.com/grpc-subpool/subpool/balancer"
	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// recorded holds what a Recorder has against what a snapshot shows.
func recorded(t *testing.T, r *harness.Recorder, p inspect.Pool) {
	t.Helper()
	states := make(map[string]int)
	for _, e := range p.Endpoints {
		for _, s := range e.Subchannels {
			states[s.State]++
		}
	}
	for _, state := range []string{"idle", "connecting", "backoff", "checking", "not_serving", "ready", "draining"} {
		require.Equal(t, states[state], r.Sum("subpool.subchannels", state), state)
	}
	drained, opened := -states["draining"], 0
	for reason, n := range p.Totals.Retired {
		require.EqualValues(t, n, r.Sum("subpool.connections.retired", reason), reason)
		opened += r.Sum("subpool.connections.opened", reason)
		if reason != "lost" {
			drained += int(n)
		}
	}
	opened += r.Sum("subpool.connections.opened", "start") + r.Sum("subpool.connections.opened", "growth")
	require.EqualValues(t, p.Totals.Opened, opened)
	require.EqualValues(t, p.Totals.RenewalsFailed, r.Sum("subpool.renewals.failed"))
	require.EqualValues(t, p.Totals.Grown, r.Sum("subpool.growth"))
	require.EqualValues(t, p.Totals.Held, r.Sum("subpool.calls.full", "held"))
	require.EqualValues(t, p.Totals.Queued, r.Sum("subpool.calls.full", "queued"))
	require.EqualValues(t, p.Totals.Refused, r.Sum("subpool.calls.full", "refused"))
	require.EqualValues(t, p.Totals.ForceClosed, r.Sum("subpool.calls.force_closed"))
	require.Equal(t, drained, r.Sum("subpool.connections.drain_duration"))
}

// Everything happens that the metrics are about.
//
// Guards: countDecisionLocked, and `p.recordSubchannelsLocked(phases{})` in Close.
func TestTheRecorderHasWhatTheSnapshotShows(t *testing.T) {
	r := harness.NewRecorder()
	opts := harness.Options{Handle: lasting(100 * time.Millisecond), Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(20)}}
	const settings = `{"minSize":1,"maxSize":3,"idleTimeout":"20s","maxLifetime":"1m","drainTimeout":"1s","maxPending":20}`
	story(t, settings, opts, func(t *testing.T, c client) {
		stop := c.load(100)
		time.Sleep(10 * time.Second)
		c.Cut(2)
		time.Sleep(10 * time.Second)
		_, failed, _ := stop()
		require.NotEmpty(t, failed, "some are refused")
		c.stream()
		time.Sleep(time.Minute)
		c.Break(harness.Refuse)
		pool(t).Recycle()
		time.Sleep(time.Minute)
		c.Break(harness.None)
		time.Sleep(time.Minute)
		p := shown(t)
		for reason, n := range map[string]int64{"lost": 1, "max_lifetime": 1, "shrink": 2, "idle": 1, "recycle": 1} {
			require.GreaterOrEqual(t, p.Totals.Retired[reason], n, reason)
		}
		for _, n := range []int64{p.Totals.Held, p.Totals.Queued, p.Totals.Refused, p.Totals.ForceClosed, p.Totals.Grown, p.Totals.RenewalsFailed} {
			require.Positive(t, n, "%+v", p.Totals)
		}
		require.Equal(t, 20, r.Sum("subpool.stream_limit"))
		recorded(t, r, p)
		require.NoError(t, c.Close())
		synctest.Wait()
		recorded(t, r, inspect.Pool{Totals: p.Totals}) // no subchannels
	}, grpc.WithStatsHandler(r))
}

// Guards: `Full: p.signals.full.raise` in newPool, and nextCount in countLocked: a pool that
// takes no samples would not count until something else happened.
func TestWhatIsQueuedIsCountedWithinASecond(t *testing.T) {
	r := harness.NewRecorder()
	opts := harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}}
	story(t, `{"size":1,"idleTimeout":"0s","maxLifetime":"0s","maxPending":3}`, opts, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		c.begin(4)
		require.Zero(t, r.Sum("subpool.calls.full", "queued"))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 2, r.Sum("subpool.calls.full", "queued"))
		c.begin(5)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 3, r.Sum("subpool.calls.full", "queued"))
		require.Equal(t, 4, r.Sum("subpool.calls.full", "refused"))
	}, grpc.WithStatsHandler(r))
}

// Guards: `x != nil` in load.Waiters.begin: RPCs that pick again and are held again were counted
// already.
func TestAnRPCThatIsHeldForLongIsCountedOnce(t *testing.T) {
	r := harness.NewRecorder()
	opts := harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}}
	story(t, `{"minSize":1,"maxSize":4}`, opts, func(t *testing.T, c client) {
		c.Break(harness.Hang)
		c.begin(2 + 5)
		time.Sleep(500 * time.Millisecond)
		require.EqualValues(t, 5, shown(t).Totals.Held)
		require.Equal(t, 5, shown(t).Held)
		c.begin(1)
		time.Sleep(400 * time.Millisecond)
		require.EqualValues(t, 6, shown(t).Totals.Held)
		c.Break(harness.None)
		time.Sleep(time.Second)
		require.Zero(t, shown(t).Held)
		require.Equal(t, 8, sum(c.Calls()))
		require.EqualValues(t, 6, shown(t).Totals.Held)
		require.Equal(t, 6, r.Sum("subpool.calls.full", "held"))
	}, grpc.WithStatsHandler(r))
}

// In real time: in a bubble no time passes between two reads of the clock.
//
// Guards: `s.conn.drainingAt = time.Now()` in drainLocked and `time.Since(c.drainingAt)` in
// recordDrainedLocked. A sum that falls is a restart to Prometheus.
func TestAConnectionThatIsEmptyDrainsInNoLessThanNoTime(t *testing.T) {
	r := harness.NewRecorder()
	s := harness.Start(t, harness.Options{})
	c := client{t, s.NewClient(t, harness.Policy(`{"size":8}`), grpc.WithStatsHandler(r)), s}
	for len(s.Calls()) < 8 {
		require.NoError(t, c.call())
	}
	pool(t).Recycle()
	require.Eventually(t, func() bool { return r.Sum("subpool.connections.drain_duration") == 8 }, time.Minute, time.Millisecond)
	require.GreaterOrEqual(t, r.Least("subpool.connections.drain_duration"), 0.0)
}

// Guards: `p.countFullLocked()` in Close.
func TestWhatHappensJustBeforeCloseIsCounted(t *testing.T) {
	for settings, outcome := range map[string]string{`{"size":1,"maxPending":3}`: "queued", `{"minSize":1,"maxSize":4}`: "held"} {
		r := harness.NewRecorder()
		opts := harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}}
		story(t, settings, opts, func(t *testing.T, c client) {
			time.Sleep(time.Minute)
			c.Break(harness.Hang)
			c.begin(2)
			time.Sleep(500 * time.Millisecond)
			for range 3 {
				go func() { _ = c.call() }()
			}
			synctest.Wait()
			require.NoError(t, c.Close())
			synctest.Wait()
			require.Equal(t, 3, r.Sum("subpool.calls.full", outcome), outcome)
		}, grpc.WithStatsHandler(r))
	}
}

// Guards: that countLocked records what has changed only, and that nothing is recorded by
// Pick and Done.
func TestASteadyPoolRecordsNothing(t *testing.T) {
	r := harness.NewRecorder()
	story(t, `{"size":4}`, harness.Options{Handle: taking(time.Millisecond)}, func(t *testing.T, c client) {
		require.NoError(t, c.call())
		time.Sleep(time.Second)
		before := r.Calls()
		require.Positive(t, before)
		for done := 0; done < 10000; {
			stop := c.load(16)
			time.Sleep(time.Second)
			n, failed, _ := stop()
			require.Empty(t, failed)
			done += n
		}
		time.Sleep(30 * time.Second) // two samples of the demand
		require.Equal(t, before, r.Calls())
	}, grpc.WithStatsHandler(r))
}

// A handlerOnly is no stats.MetricsRecorder: gRPC does not find its methods.
type handlerOnly struct{ gstats.Handler }

// What an RPC allocates, client and server together.
func TestAnRPCAllocatesTheSameWithMetricsAndWithout(t *testing.T) {
	steady := func(h gstats.Handler) client {
		s := harness.Start(t, harness.Options{})
		c := client{t, s.NewClient(t, harness.Policy(`{"size":4}`), grpc.WithStatsHandler(h)), s}
		for len(s.Calls()) < 4 {
			require.NoError(t, c.call())
		}
		return c
	}
	perRPC := func(c client) float64 {
		const rpcs = 500
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rpcs {
			require.NoError(t, c.call())
		}
		runtime.ReadMemStats(&after)
		return float64(after.Mallocs-before.Mallocs) / rpcs
	}
	// What the scheduler and a garbage collection allocate beside comes on top: the least of
	// many turns has none of that.
	on, off := steady(harness.NewRecorder()), steady(handlerOnly{harness.NewRecorder()})
	with, without := math.Inf(1), math.Inf(1)
	for range 20 {
		with, without = min(with, perRPC(on)), min(without, perRPC(off))
	}
	t.Logf("%.2f with, %.2f without", with, without)
	require.InDelta(t, without, with, 0.5)
}

// gRFC A79: third parties stay out of gRPC's names, and units are UCUM's.
func TestMetricsAreNamedAsGRPCAsks(t *testing.T) {
	for _, name := range subpoolbalancer.Metrics() {
		d := stats.DescriptorForMetric(name)
		require.NotNil(t, d, name)
		require.True(t, strings.HasPrefix(name, "subpool."), name)
		require.Equal(t, "grpc.target", d.Labels[0], name)
		require.Regexp(t, `^(\{[a-z]+\}|s)$`, d.Unit, name)
		require.NotEmpty(t, d.Description, name)
		require.False(t, d.Default, name)
	}
}
