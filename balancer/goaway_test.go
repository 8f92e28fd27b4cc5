package balancer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"

	"github.com/grpc-subpool/subpool/internal/load"
	"github.com/grpc-subpool/subpool/picker"
)

// A refusing is an endpoint whose connections say GOAWAY.
type refusing struct {
	p *pool
	e *endpointOf
}

func refuse(t *testing.T) refusing {
	r := refusing{&pool{waiters: new(load.Waiters)}, &endpointOf{endpoint: *tell(t, `{"size":3}`).endpoint}}
	r.p.endpoints = []*endpointOf{r.e}
	return r
}

// connect makes a connection that was dialled just before.
func (r refusing) connect(now time.Time) *slot {
	l := load.New(r.p.waiters, &r.e.goAways)
	lanes := []*lineOf{{since: r.e.goAways.Count()}}
	return &slot{phase: ready, since: now, sub: subchannel{owner: r.e, load: l, lanes: lanes}}
}

// at looks, and reports whether the window is open.
func (r refusing) at(now time.Time, slots ...*slot) (open bool) {
	r.e.slots = slots
	r.p.repeatsEndLocked(now)
	return r.e.goAways.Opened() != 0
}

// Guards: `n != e.goAwaysSeen` in repeatsEndLocked: what the last GOAWAY refuses is still to
// come when the window of the first would end.
func TestAWindowLastsFromTheLastGoAway(t *testing.T) {
	r := refuse(t)
	a, b, c := r.connect(start), r.connect(start), r.connect(start)
	a.sub.load.GoAway(0)
	dialling := &slot{phase: dialing}
	require.True(t, r.at(start, dialling, b, c))
	b.sub.load.GoAway(0)
	require.True(t, r.at(start.Add(repeatWithin-1), dialling, c))
	require.True(t, r.at(start.Add(2*repeatWithin-2), dialling, c))
	require.False(t, r.at(start.Add(2*repeatWithin-1), dialling, c))
}

// A server that restarts has an old process that may still take connections.
//
// Guards: freshAfter, and `s.won().since >= opened`.
func TestAConnectionIsFreshWhenItWasDialledAfterTheGoAwayAndHasLivedForAMoment(t *testing.T) {
	r := refuse(t)
	a, old := r.connect(start), r.connect(start)
	a.sub.load.GoAway(0)
	later := start.Add(time.Second)
	made := r.connect(later)
	require.True(t, r.at(later.Add(freshAfter-1), old, made))
	require.False(t, made.sub.load.Fresh())
	require.False(t, r.p.recount)
	require.True(t, r.at(later.Add(freshAfter), old, made))
	require.True(t, made.sub.load.Fresh())
	require.True(t, r.p.recount, "or the RPCs that are held would stay")
	require.False(t, old.sub.load.Fresh())
	require.False(t, r.at(later.Add(freshAfter+lateRepeats), old, made))
	require.True(t, old.sub.load.Fresh())
}

// Guards: `!coming`.
func TestNoRPCIsHeldForAConnectionThatDoesNotCome(t *testing.T) {
	r := refuse(t)
	a, b := r.connect(start), r.connect(start)
	a.sub.load.GoAway(0)
	require.True(t, r.at(start, a, b), "gRPC has not told yet that it is lost")
	require.False(t, r.at(start, &slot{phase: resting}, b))
}

// Guards: `max(0, int(int32(…)))` in carryHeldLocked: an RPC that had no stream takes its
// start back.
func TestHeldRPCsAreNotCountedAgainWhereStartsWereTakenBack(t *testing.T) {
	p := &pool{waiters: new(load.Waiters), published: &publication{}}
	p.published.loads = []*load.Load{load.New(p.waiters, nil)}
	p.published.starts = 1
	p.report.carried = 100
	p.carryHeldLocked(&publication{})
	require.Equal(t, 100, p.report.carried)
}

// A limit of RPCs that was learned from a restart, say, is false: within a quarter of a second
// a connection that has carried as many refutes it, though a long stream keeps it open.
func TestASpentConnectionThatIsNotEndedRefutesTheRule(t *testing.T) {
	p := &pool{waiters: new(load.Waiters)}
	e := &endpointOf{endpoint: *tell(t, `{"size":1}`).endpoint}
	e.requests = requestCap{most: 2}
	s := &slot{phase: ready, sub: subchannel{owner: e, load: load.New(p.waiters, nil)}}
	s.sub.load.SetRequestLimit(2)
	e.slots = []*slot{s}
	require.True(t, pick(s.sub.load))
	require.True(t, pick(s.sub.load))
	p.judgeRequestsLocked(s, start)
	require.True(t, s.spent())
	p.judgeRequestsLocked(s, start.Add(endsWithin-1))
	require.Equal(t, 2, e.requests.most)
	p.judgeRequestsLocked(s, start.Add(endsWithin))
	require.Zero(t, e.requests.most)
	require.True(t, p.recount, "RPCs may wait for it")
	require.True(t, pick(s.sub.load))
}

// pick makes an RPC on the connection of l, and reports whether it was taken.
func pick(l *load.Load) bool {
	w := new(load.Waiters)
	p := picker.Build(picker.RoundRobin, load.Serving{Waiters: w, Waiting: w.Renew(), Conns: []load.Conn{{Load: l}}})
	_, err := p.Pick(balancer.PickInfo{})
	return err == nil
}
