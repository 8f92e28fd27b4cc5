package balancer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/h2conn"
	"github.com/grpc-subpool/subpool/internal/lifecycle"
	"github.com/grpc-subpool/subpool/internal/load"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A restarting is an endpoint of three subchannels, whose connections get a GOAWAY. All of
// them connect at first.
type restarting struct {
	p    *pool
	e    *endpoint
	subs []*subchannel
}

func restart(t *testing.T) *restarting {
	p := newPool(new(talkingConn), balancer.BuildOptions{})
	t.Cleanup(p.Close)
	id := lifecycle.ID(0)
	settings := config.Config{MinSize: 3, MaxSize: 3, TargetStreams: 100}
	newID := func() lifecycle.ID { id++; return id }
	e := &endpoint{
		addr:     resolver.Endpoint{Addresses: make([]resolver.Address, 1)},
		Endpoint: lifecycle.New(settings, []string{""}, start, newID, func() float64 { return 0.5 }),
	}
	e.signals = p.signalsOf(e)
	p.endpoints.list = []*endpoint{e}
	r := &restarting{p: p, e: e}
	for _, d := range e.Plan(start, 1000).Dial {
		r.subs = append(r.subs, p.subchannelLocked(e, d.Subchannel))
	}
	return r
}

type silentSubConn struct{ balancer.SubConn }

func (silentSubConn) Shutdown() {}

// connect makes a connection that was dialled just before.
func (r *restarting) connect(s *subchannel, now time.Time) {
	r.e.Plan(now, 1000)
	r.e.Connected(s.Subchannel, 0, now)
	r.e.Observe(s.Subchannel, lifecycle.Facts{Health: lifecycle.HealthServing, Answered: true}, now)
	sub := &subConn{sc: silentSubConn{}, goAwaysAtDial: r.e.goAways.count.Count(), observer: h2conn.NewObserver(func() {})}
	s.subConns[0] = sub
	s.conn = &connection{load: load.New(r.p.waiters, &r.e.goAways.count), subConn: sub}
}

// goAway ends the connection of s by a GOAWAY; told says that gRPC has reported it as lost.
func (r *restarting) goAway(s *subchannel, now time.Time, told bool) {
	s.conn.load.GoAway(0)
	if told {
		r.e.Lost(s.Subchannel, 0, lifecycle.End{Answered: true, InFlight: 1}, now)
		s.conn = nil
		r.p.planLocked(r.e, wave, now)
	}
}

// open looks at the window, and reports whether it is open.
func (r *restarting) open(now time.Time) bool {
	r.p.endRetriesLocked(now)
	return r.e.goAways.count.Opened() != 0
}

// Guards: `n != g.seen` in inRetryPeriodLocked: what the last GOAWAY refuses is still to
// come when the window of the first would end.
func TestAWindowLastsFromTheLastGoAway(t *testing.T) {
	r := restart(t)
	for _, s := range r.subs {
		r.connect(s, start)
	}
	r.goAway(r.subs[0], start, true)
	require.True(t, r.open(start))
	r.goAway(r.subs[1], start, true)
	require.True(t, r.open(start.Add(retryWithin-1)))
	require.True(t, r.open(start.Add(2*retryWithin-2)))
	require.False(t, r.open(start.Add(2*retryWithin-1)))
}

// A server that restarts has an old process that may still take connections.
//
// Guards: `s.Since().Add(freshAfter)` and `s.conn.subConn.goAwaysAtDial >= opened` in
// inRetryPeriodLocked.
func TestAConnectionIsFreshWhenItWasDialledAfterTheGoAwayAndHasLivedForAMoment(t *testing.T) {
	r := restart(t)
	old, made := r.subs[1], r.subs[0]
	r.connect(old, start)
	r.connect(made, start)
	r.goAway(made, start, true)
	later := start.Add(time.Second)
	r.connect(made, later)
	require.True(t, r.open(later.Add(freshAfter-1)))
	require.False(t, made.conn.load.Fresh())
	require.False(t, r.p.schedule.republish)
	require.True(t, r.open(later.Add(freshAfter)))
	require.True(t, made.conn.load.Fresh())
	require.True(t, r.p.schedule.republish, "or the RPCs that are held would stay so")
	require.False(t, old.conn.load.Fresh())
	require.False(t, r.open(later.Add(freshAfter+lateRetries)))
	require.True(t, old.conn.load.Fresh())
}

// Guards: `return pending &&` in inRetryPeriodLocked.
func TestNoRPCIsHeldForAConnectionThatDoesNotCome(t *testing.T) {
	r := restart(t)
	for _, s := range r.subs {
		r.connect(s, start)
	}
	r.goAway(r.subs[0], start, false)
	require.True(t, r.open(start), "gRPC has not told yet that it is lost")
	r.goAway(r.subs[0], start, true)
	r.e.Failed(r.subs[0].Subchannel, 0, "refused")
	require.False(t, r.open(start))
}

// Guards: `u.since.Store(int64(at))` and `u.received.Store(received + 1)` in unanswered.add.
func TestAConnectionIsUnansweredFromTheFirstToTheLastOfItsRPCs(t *testing.T) {
	at := start.Add
	u := unanswered{connected: start}
	require.False(t, u.add(0, at(0), time.Second))
	require.False(t, u.add(0, at(999*time.Millisecond), time.Second))
	require.True(t, u.add(0, at(time.Second), time.Second))
	require.True(t, u.add(0, at(2*time.Second), time.Second), "and goes on")
	require.False(t, u.add(1, at(3*time.Second), time.Second), "a byte ends it")
	require.False(t, u.add(1, at(3500*time.Millisecond), time.Second))
	require.True(t, u.add(1, at(4*time.Second), time.Second))
}
