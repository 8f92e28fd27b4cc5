package balancer

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/picker"
)

// Guards: `n != e.goAwaysSeen` in repeatsEndLocked: what the last GOAWAY refuses is still to
// come when the window of the first would end.
func TestAWindowLastsFromTheLastGoAway(t *testing.T) {
	p := &pool{}
	e := &endpointOf{endpoint: *tell(t, `{"size":3}`).endpoint}
	p.endpoints = []*endpointOf{e}
	p.gate.Open(picker.Terms{})
	connect := func() *slot {
		l := picker.NewLoad(&p.gate)
		l.Of(&e.goAways, e.goAways.Count())
		return &slot{phase: ready, sub: subchannel{owner: e, load: l}}
	}
	a, b, c := connect(), connect(), connect()
	a.sub.load.GoAway(0)
	fresh := connect()
	e.slots = []*slot{fresh, b, c}
	p.repeatsEndLocked(start)
	b.sub.load.GoAway(0)
	e.slots = []*slot{fresh, c}
	p.repeatsEndLocked(start.Add(lateRepeats - 1))
	p.repeatsEndLocked(start.Add(lateRepeats))
	require.True(t, e.goAways.Open())
	p.repeatsEndLocked(start.Add(2 * lateRepeats))
	require.False(t, e.goAways.Open())
}

// Guards: `max(0, int(int32(…)))` in carryHeldLocked: an RPC that had no stream takes its
// start back.
func TestHeldRPCsAreNotCountedAgainWhereStartsWereTakenBack(t *testing.T) {
	p := &pool{published: &publication{}}
	p.gate.Open(picker.Terms{})
	p.published.loads = []*picker.Load{picker.NewLoad(&p.gate)}
	p.published.starts = 1
	p.report.carried = 100
	p.carryHeldLocked(&publication{})
	require.Equal(t, 100, p.report.carried)
}

// A limit of RPCs that was learned from a restart, say, is false: within a quarter of a second
// a connection that has carried as many refutes it, though a long stream keeps it open.
func TestASpentConnectionThatIsNotEndedRefutesTheRule(t *testing.T) {
	p := &pool{}
	e := &endpointOf{endpoint: *tell(t, `{"size":1}`).endpoint}
	e.requests = requestCap{most: 2}
	s := &slot{phase: ready, sub: subchannel{owner: e, load: picker.NewLoad(&p.gate)}}
	s.sub.load.SetMost(2)
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
func pick(l *picker.Load) bool {
	sc := base.SubConnInfo{Address: picker.WithLoad(resolver.Address{}, l, 0)}
	p := picker.Builder(picker.RoundRobin).Build(base.PickerBuildInfo{ReadySCs: map[balancer.SubConn]base.SubConnInfo{nil: sc}})
	_, err := p.Pick(balancer.PickInfo{})
	return err == nil
}
