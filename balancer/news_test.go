package balancer

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/lifecycle"
	"github.com/grpc-subpool/subpool/internal/load"
)

// Guards: deadlines, each branch of set.
func TestDeadlinesComeInTheirOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var d deadlines
	endpoints := make([]*endpoint, 50)
	for i := range endpoints {
		endpoints[i] = new(endpoint)
	}
	for range 2000 {
		e, at := endpoints[r.IntN(len(endpoints))], time.Time{}
		if r.IntN(3) > 0 {
			at = start.Add(time.Duration(r.IntN(1000)))
		}
		d.set(e, at)
		require.True(t, at.Equal(e.deadline))
	}
	var want, got []time.Time
	for _, e := range endpoints {
		if !e.deadline.IsZero() {
			want = append(want, e.deadline)
		}
	}
	slices.SortFunc(want, time.Time.Compare)
	require.Nil(t, d.take(start.Add(-1)))
	for len(d.queue) > 0 {
		next := d.next()
		e := d.take(next)
		require.NotNil(t, e)
		require.True(t, e.deadline.IsZero())
		got = append(got, next)
	}
	require.Equal(t, want, got)
	require.True(t, d.next().IsZero())
}

// Guards: `e.news.stacked.Store(false)` before the flags are read: what is told then is
// pushed again.
func TestNoNewsIsLost(t *testing.T) {
	var stack newsStack
	endpoints := make([]*endpoint, 8)
	for i := range endpoints {
		endpoints[i] = new(endpoint)
	}
	const tellers, each = 4, 20_000
	var told [8]int
	var mu sync.Mutex
	var running sync.WaitGroup
	for range tellers {
		running.Go(func() {
			for i := range each {
				e := endpoints[i%len(endpoints)]
				if e.news.changed.CompareAndSwap(false, true) {
					mu.Lock()
					told[i%len(endpoints)]++
					mu.Unlock()
					stack.push(e)
				}
			}
		})
	}
	var seen [8]int
	look := func() {
		stack.take(func(e *endpoint) {
			if e.news.changed.take() {
				seen[slices.Index(endpoints, e)]++
			}
		})
	}
	ended := make(chan struct{})
	go func() { running.Wait(); close(ended) }()
	for done := false; !done; {
		select {
		case <-ended:
			done = true
		default:
		}
		look()
	}
	require.Equal(t, told, seen)
}

// Guards: that a step plans only what is marked.
func TestAnEventOfOneEndpointPlansNoOther(t *testing.T) {
	r := restart(t)
	other := &endpoint{Endpoint: lifecycle.New(config.Config{MaxSize: 1}, []string{""}, start, func() lifecycle.ID { return 100 }, rand.Float64)}
	r.p.endpoints.list = append(r.p.endpoints.list, other)
	r.p.dials = dials{began: start, begun: wave} // none is left
	r.p.endpoints.markAll()
	r.p.reconcileLocked(start)
	other.plan.Watermark = 12345
	r.p.endpoints.mark(r.e)
	r.p.reconcileLocked(start)
	require.Equal(t, 12345, other.plan.Watermark)
	r.p.endpoints.markAll()
	r.p.reconcileLocked(start)
	require.NotEqual(t, 12345, other.plan.Watermark)
}

// Guards: `e.news.demand.Load()` in setDeadlineLocked.
func TestDemandThatIsToldTooSoonIsLookedAtLater(t *testing.T) {
	r := restart(t)
	now := start.Add(time.Second)
	r.e.nextDemand = now.Add(time.Millisecond)
	r.e.news.demand.Store(true)
	r.p.told.push(r.e)
	r.p.markDueLocked(now)
	require.Empty(t, r.p.endpoints.marked)
	require.Equal(t, r.e.nextDemand, r.p.endpoints.deadlines.next())
	r.p.markDueLocked(r.e.nextDemand)
	require.Len(t, r.p.endpoints.marked, 1)
	require.False(t, r.e.news.demand.Load())
}

// Guards: few, longestInterval, and each condition in waitsForMoreLocked.
func TestWhatCannotWaitIsPublishedAtOnce(t *testing.T) {
	p := newPool(silentConn{}, balancer.BuildOptions{})
	defer p.Close()
	p.waiters = load.NewWaiters(load.Signals{})
	p.schedule.lastPublished = start
	e := new(endpoint)
	p.endpoints.sum.ready = make(loads, few)
	require.False(t, p.waitsForMoreLocked([]*endpoint{e}, start))
	p.endpoints.sum.ready = make(loads, few+1)
	require.True(t, p.waitsForMoreLocked([]*endpoint{e}, start))
	require.Equal(t, start.Add((few+1)*publishInterval), p.schedule.nextPublish)
	require.False(t, p.waitsForMoreLocked([]*endpoint{e}, p.schedule.nextPublish))
	e.plan.Drain = append(e.plan.Drain, nil)
	require.False(t, p.waitsForMoreLocked([]*endpoint{e}, start))

	p.endpoints.sum.ready = make(loads, 10_000)
	require.True(t, p.waitsForMoreLocked(nil, start))
	require.Equal(t, start.Add(longestInterval), p.schedule.nextPublish)
	p.waiters.Hold(p.waiters.Renew())
	p.waiters.Wait(t.Context())
	require.False(t, p.waitsForMoreLocked(nil, start))
	p.waiters.Renew()
	require.True(t, p.waitsForMoreLocked(nil, start))
	p.waiters.HoldRetry(t.Context())
	require.False(t, p.waitsForMoreLocked(nil, start))
}

// Guards: `perPick+perHeld/time.Duration(freed)` in releasesLocked.
func TestHeldRPCsPickAgainTheSoonerTheMorePlacesCameFree(t *testing.T) {
	p := newPool(silentConn{}, balancer.BuildOptions{})
	defer p.Close()
	p.waiters = load.NewWaiters(load.Signals{})
	p.schedule.lastPublished = start
	l := load.New(p.waiters, nil)
	l.SetLimit(20)
	for range 20 {
		require.True(t, l.Reserve())
	}
	in := p.waiters.Renew()
	for range 100 {
		rpc, cancel := context.WithCancel(t.Context())
		defer cancel()
		p.waiters.Hold(in)
		p.waiters.Wait(rpc)
	}
	require.False(t, p.releasesLocked(start.Add(time.Hour)), "no place came free")
	for freed := 1; freed <= 10; freed++ {
		l.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
		at := start.Add(100 * (perPick + perHeld/time.Duration(freed)))
		require.False(t, p.releasesLocked(at.Add(-1)))
		require.Equal(t, at, p.schedule.nextRelease)
		require.True(t, p.releasesLocked(at))
	}
}

// The wave is used up by other endpoints when a GOAWAY ends one of three connections.
//
// Guards: `s.wait(e.clock.now)` in lifecycle.Endpoint.startAttempts: a retry would go to the
// other ones, which may be about to end, too.
func TestTransparentRetriesWaitForAConnectionThatWaitsForItsWave(t *testing.T) {
	r := restart(t)
	for _, s := range r.subs {
		r.connect(s, start)
	}
	now := start.Add(time.Minute)
	r.p.dials = dials{began: now, begun: wave}
	r.goAway(r.subs[0], now, true)
	require.True(t, r.open(now))
	require.False(t, r.open(now.Add(retryWithin)))
}

// Guards: `e.Removed()` in dials.take, and slices.Delete there, which forgets those that were
// taken.
func TestOnlyEndpointsThatMayDialTakeTheirTurn(t *testing.T) {
	d := dials{began: start, begun: wave}
	waiting := func() *endpoint {
		e := &endpoint{Endpoint: lifecycle.New(config.Config{}, []string{""}, start, nil, nil)}
		e.plan.MoreDials = true
		d.planned(e)
		return e
	}
	for range 5000 {
		waiting().SetRemoved(true)
	}
	first := waiting()
	for range 2 * wave {
		waiting()
	}
	require.Empty(t, d.take(start))
	taken := d.take(d.next())
	require.Len(t, taken, wave)
	require.Same(t, first, taken[0])
	require.False(t, first.waitsToDial)
	require.Len(t, d.waiting, wave+1)
	for _, e := range d.waiting[:cap(d.waiting)][len(d.waiting):] {
		require.Nil(t, e)
	}
}
