package balancer_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/harness"
	"github.com/grpc-subpool/subpool/internal/registry"
)

// pool is the only one there is.
func pool(t *testing.T) inspect.Handle {
	t.Helper()
	pools := registry.Pools()
	require.Len(t, pools, 1)
	return pools[0]
}

// shown is the snapshot of the only pool.
func shown(t *testing.T) inspect.Pool {
	t.Helper()
	p, ok := pool(t).Snapshot()
	require.True(t, ok)
	return p
}

func TestASnapshotShowsWhatAPoolIs(t *testing.T) {
	opts := harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}}
	const settings = `{"minSize":1,"maxSize":3,"maxLifetime":"1h","lifetimeJitter":0,"idleTimeout":"0s","maxPending":5}`
	story(t, settings, opts, func(t *testing.T, c client) {
		begun := time.Now()
		time.Sleep(time.Minute)
		c.begin(4)
		time.Sleep(time.Second) // and what is queued is counted
		c.begin(7)
		time.Sleep(2 * time.Second)
		p := shown(t)
		assert.Equal(t, "passthrough:///server:443", p.Target)
		assert.Equal(t, "READY", p.State)
		assert.Empty(t, p.Error)
		assert.Equal(t, []time.Time{begun, time.Now()}, []time.Time{p.Since, p.At})
		assert.Equal(t, []int{3, 5}, []int{p.Settings.MaxSize, p.Settings.MaxPending})
		assert.Equal(t, []int{0, 5}, []int{p.Held, p.Queued})
		totals := []int64{p.Totals.Opened, p.Totals.Grown, p.Totals.Queued, p.Totals.Refused}
		assert.Equal(t, []int64{3, 2, 5, 0}, totals)
		require.Len(t, c.begin(1)(), 1, "one too many")
		assert.EqualValues(t, 1, shown(t).Totals.Refused)

		require.Len(t, p.Endpoints, 1)
		e := p.Endpoints[0]
		assert.Equal(t, []string{"server:443"}, e.Addresses)
		assert.False(t, e.Removed)
		assert.Equal(t, "READY", e.State)
		assert.Equal(t, []int{1, 3, 3, 2}, []int{e.MinSize, e.MaxSize, e.Wanted, e.Limit})
		assert.Equal(t, inspect.Budget{Connections: 3, MostConnections: 3 + 1}, e.Budget)
		require.Len(t, e.Subchannels, 3)
		inFlight := 0
		for i, s := range e.Subchannels {
			assert.Equal(t, i+1, s.ID)
			assert.Equal(t, "server:443", s.Address)
			assert.Equal(t, "ready", s.State)
			assert.Equal(t, 2, s.Limit)
			assert.WithinRange(t, *s.EndOfLife, s.Connected.Add(time.Hour-time.Hour/512), s.Connected.Add(time.Hour))
			assert.EqualValues(t, s.InFlight, s.Started)
			inFlight += s.InFlight
		}
		assert.Equal(t, 11, inFlight)
		assert.Equal(t, begun, *e.Subchannels[0].Connected)
		assert.GreaterOrEqual(t, *e.Subchannels[0].LastUse, begun.Add(time.Minute))
	})
}

// Guards: Config.UnmarshalJSON.
func TestASnapshotIsReadBackFromJSON(t *testing.T) {
	opts := harness.Options{Handle: forever, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(2)}}
	story(t, `{"minSize":1,"maxSize":3}`, opts, func(t *testing.T, c client) {
		c.begin(9)
		p := shown(t)
		js, err := json.Marshal(p)
		require.NoError(t, err)
		var back inspect.Pool
		require.NoError(t, json.Unmarshal(js, &back))
		again, err := json.Marshal(back)
		require.NoError(t, err)
		require.JSONEq(t, string(js), string(again))
		require.Equal(t, p.Settings, back.Settings)
	})
}

// Guards: `shown.Replaces` and `shown.Retired`.
func TestASnapshotShowsWhatDrainsAndWhatReplacesIt(t *testing.T) {
	story(t, `{"size":1,"maxLifetime":"10s","lifetimeJitter":0,"idleTimeout":"0s"}`, harness.Options{}, func(t *testing.T, c client) {
		defer c.stream()()
		time.Sleep(11 * time.Second)
		p := shown(t)
		old, next := p.Endpoints[0].Subchannels[0], p.Endpoints[0].Subchannels[1]
		require.Equal(t, "draining", old.State)
		require.Equal(t, "max_lifetime", old.Retired)
		require.Nil(t, old.EndOfLife)
		require.Equal(t, 1, old.InFlight)
		require.Equal(t, "max_lifetime", next.Replaces)
		require.Empty(t, next.Retired)
		require.Equal(t, inspect.Budget{Connections: 2, MostConnections: 1 + 1 + 1, Draining: 1}, p.Endpoints[0].Budget)
		require.EqualValues(t, 1, p.Totals.Retired["max_lifetime"])
	})
}

func (c client) sixStreams() (end func()) {
	var ends []func()
	for range 6 {
		ends = append(ends, c.stream())
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}

// Guards: the loops over p.leftovers.lingering in snapshot and snapshotLocked; `t.GoAway = g.String()` in show.
func TestASnapshotShowsLingeringConnections(t *testing.T) {
	story(t, `{"size":2}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Second)
		end := c.sixStreams()
		c.GoAway(t, 1)
		synctest.Wait()
		p := shown(t)
		require.Len(t, p.Lingering, 1)
		l := p.Lingering[0]
		require.Equal(t, 3, l.InFlight)
		require.Equal(t, p.At, l.Since)
		require.Equal(t, "GOAWAY, code: NO_ERROR", l.GoAway)
		require.NotEmpty(t, l.Remote)
		inFlight := 0
		for _, s := range p.Endpoints[0].Subchannels {
			inFlight += s.InFlight
		}
		require.Equal(t, 3, inFlight)
		end()
		synctest.Wait()
		require.Zero(t, shown(t).Lingering)
	})
}

// Guards: that LastUse is nil where use is not sampled, and `if e.settings.IdleTimeout > 0` in
// lifecycle.Endpoint.decideRetired.
func TestLastUseIsShownToWithinASampleOrNotAtAll(t *testing.T) {
	ago := func(t *testing.T) time.Duration {
		p := shown(t)
		return p.At.Sub(*p.Endpoints[0].Subchannels[0].LastUse)
	}
	story(t, `{"size":1,"idleTimeout":"160s","maxLifetime":"0s"}`, harness.Options{}, func(t *testing.T, c client) {
		for range 25 {
			time.Sleep(7 * time.Second)
			require.NoError(t, c.call())
			require.Zero(t, ago(t))
		}
		time.Sleep(time.Minute)
		require.InDelta(t, 60, ago(t).Seconds(), 10)
	})
	story(t, `{"size":1,"maxLifetime":"10s","lifetimeJitter":0}`, harness.Options{}, func(t *testing.T, c client) {
		defer c.stream()()
		time.Sleep(time.Hour)
		require.Equal(t, "draining", shown(t).Endpoints[0].Subchannels[0].State)
		require.Zero(t, ago(t), "the stream is use")
	})
	story(t, `{"size":1,"idleTimeout":"0s","maxLifetime":"0s"}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		require.NoError(t, c.call())
		time.Sleep(time.Hour)
		require.Nil(t, shown(t).Endpoints[0].Subchannels[0].LastUse, "use is not sampled")
		c.Break(harness.Hang)
		pool(t).Recycle() // the pool reads its connections, for another reason
		synctest.Wait()
		require.Nil(t, shown(t).Endpoints[0].Subchannels[0].LastUse)
		c.Break(harness.None)
		time.Sleep(time.Minute)
		said := fmt.Sprint(shown(t).Decisions)
		require.Contains(t, said, "leaves: recycle")
		require.NotContains(t, said, "last used")
	}, grpc.WithIdleTimeout(0))
}

// Guards: Demand, Peak, Removed and Suspect of the snapshot.
func TestASnapshotShowsDemandPeakRemovedAndSuspect(t *testing.T) {
	story(t, `{"size":2}`, harness.Options{}, func(t *testing.T, c client) {
		end := c.sixStreams()
		time.Sleep(time.Minute)
		e := shown(t).Endpoints[0]
		require.Equal(t, []int{6, 6}, []int{e.Demand, e.Peak})
		end()
		time.Sleep(time.Minute)
		e = shown(t).Endpoints[0]
		require.Equal(t, []int{0, 6}, []int{e.Demand, e.Peak})
	})
	synctest.Test(t, func(t *testing.T) {
		s, r := harness.Start(t, harness.Options{}), resolverOf("a:1")
		c := client{t, channelOf(t, s, r, harness.Policy(`{"size":1}`)), s}
		defer c.stream()()
		r.UpdateState(resolver.State{Addresses: []resolver.Address{{Addr: "b:1"}}})
		time.Sleep(time.Second)
		p := shown(t)
		require.Len(t, p.Endpoints, 2)
		require.Equal(t, []bool{true, false}, []bool{p.Endpoints[0].Removed, p.Endpoints[1].Removed})
	})
	story(t, `{"size":2,"unresponsiveTimeout":"1s"}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Second)
		c.Break(harness.Hang) // or it would be replaced at once
		c.Darken(harness.Swallow, 1)
		for range 300 {
			_ = c.within(100 * time.Millisecond)
			time.Sleep(10 * time.Millisecond)
		}
		var suspect []bool
		for _, s := range shown(t).Endpoints[0].Subchannels {
			if s.State == "ready" {
				suspect = append(suspect, s.Suspect)
			}
		}
		require.ElementsMatch(t, []bool{true, false}, suspect)
	})
}

func TestASnapshotTellsWhyNothingWorks(t *testing.T) {
	story(t, `{"size":2}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		c.Break(harness.Refuse)
		c.Cut()
		synctest.Wait()
		require.Error(t, c.call())
		time.Sleep(100 * time.Millisecond)
		p := shown(t)
		require.Equal(t, "TRANSIENT_FAILURE", p.State)
		require.Contains(t, p.Error, "connection refused")
		require.Equal(t, "TRANSIENT_FAILURE", p.Endpoints[0].State)
		require.Zero(t, p.Endpoints[0].Budget.Connections)
		require.EqualValues(t, 2, p.Totals.Retired["lost"])
		require.Positive(t, p.Totals.Failed)
		for _, s := range p.Endpoints[0].Subchannels {
			require.Equal(t, "lost", s.Replaces)
			require.Nil(t, s.Connected)
		}
	})
}

func TestAPoolWithoutAddressesIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		r := resolverOf()
		c := channelOf(t, s, r, harness.Policy(`{"size":3}`))
		c.Connect()
		synctest.Wait()
		p := shown(t)
		require.Equal(t, "TRANSIENT_FAILURE", p.State)
		require.Contains(t, p.Error, "produced zero addresses")
		js, err := json.Marshal(p)
		require.NoError(t, err)
		require.Contains(t, string(js), `"endpoints":[]`)
	})
}
