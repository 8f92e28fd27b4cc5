package picker_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/load"
	"github.com/grpc-subpool/subpool/picker"
)

// builtIn are the pickers that are always there.
var builtIn = []string{picker.LeastInFlight, picker.RoundRobin}

// ended and unavailable are how an RPC may end.
var (
	ended       = balancer.DoneInfo{BytesSent: true, BytesReceived: true}
	unavailable = balancer.DoneInfo{Err: status.Error(codes.Unavailable, "refused"), BytesSent: true}
)

// A subConn stands for a READY connection. No method of it may be called.
type subConn struct {
	balancer.SubConn
	id int
}

// A pool is READY connections as the subpool policy hands them to a picker, with these
// signals.
type pool struct {
	load.Input
	load.Signals // may be set at any time
}

func newPool(n int) *pool {
	p := new(pool)
	p.Waiters = load.NewWaiters(load.Signals{
		Changed: func() { call(p.Changed) },
		Demand:  func() { call(p.Demand) },
		Full:    func() { call(p.Full) },
	})
	p.Waiting, p.MaxQueued = p.Waiters.Renew(), load.NoMaxQueued
	for id := range n {
		p.add(id)
	}
	return p
}

func call(f func()) {
	if f != nil {
		f()
	}
}

// add makes a connection.
func (p *pool) add(id int) *load.Load {
	l := load.New(p.Waiters, nil)
	l.SetSubConn(id, &subConn{id: id}, new(resolver.Address))
	p.Conns = append(p.Conns, l)
	return l
}

// full makes a pool of connections that have the same limit, and as many RPCs.
func full(n, limit int) *pool {
	p := newPool(n)
	for i := range n {
		p.load(i).SetLimit(limit)
		for range limit {
			p.load(i).Reserve()
		}
	}
	return p
}

func (p *pool) load(i int) *load.Load { return slices.Concat(p.Conns, p.Suspects)[i] }

// suspect makes all connections suspect from the i-th on.
func (p *pool) suspect(i int) { p.Conns, p.Suspects = p.Conns[:i], p.Conns[i:] }

func (p *pool) build(name string) balancer.Picker { return picker.Build(name, p.Input) }

// hold puts that many RPCs on the i-th connection.
func (p *pool) hold(t testing.TB, i, rpcs int) (end func(balancer.DoneInfo)) {
	for range rpcs {
		require.True(t, p.load(i).Reserve())
	}
	return func(info balancer.DoneInfo) {
		for range rpcs {
			p.load(i).Done(info)
		}
	}
}

// pick starts an RPC, which must find a connection.
func pick(t testing.TB, p balancer.Picker) (id int, done func(balancer.DoneInfo)) {
	t.Helper()
	res, err := p.Pick(anRPC())
	require.NoError(t, err)
	return res.SubConn.(*subConn).id, res.Done
}

// picks makes that many RPCs, one after the other, and counts them by connection.
func picks(t testing.TB, p balancer.Picker, rpcs int) map[int]int {
	t.Helper()
	count := make(map[int]int)
	for range rpcs {
		id, done := pick(t, p)
		count[id]++
		done(ended)
	}
	return count
}

// forEachBuiltIn runs a test of what holds for every picker.
func forEachBuiltIn(t *testing.T, test func(t *testing.T, name string)) {
	for _, name := range builtIn {
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

// The policy publishes a new picker before it drains, so that gRPC, told to
// wait, finds that one at once. Any other error would fail the RPC.
func TestIfAllConnectionsDrainRPCsWaitForTheNextPicker(t *testing.T) {
	forEachBuiltIn(t, func(t *testing.T, name string) {
		for n := 1; n <= 4; n++ {
			p := newPool(n)
			built := p.build(name)
			for _, c := range p.Conns {
				c.Drain()
			}
			_, err := built.Pick(anRPC())
			require.ErrorIs(t, err, balancer.ErrNoSubConnAvailable, "%d connections", n)
		}
	})
}

// The one that drains is the only one without load, which would attract every
// RPC. It starts to drain after the picker was built, as it does in the policy.
func TestADrainingConnectionIsNeverPicked(t *testing.T) {
	forEachBuiltIn(t, func(t *testing.T, name string) {
		for n := 2; n <= 4; n++ {
			p := newPool(n)
			built := p.build(name)
			for i := 1; i < n; i++ {
				p.hold(t, i, 1)
			}
			p.load(0).Drain()
			require.NotContains(t, picks(t, built, 1000), 0, "of %d connections", n)
		}
	})
}

func TestPicksThatADrainingConnectionRefusedAreNotCounted(t *testing.T) {
	forEachBuiltIn(t, func(t *testing.T, name string) {
		p := newPool(3)
		built := p.build(name)
		p.load(0).Drain()
		picks(t, built, 1000)
		require.Zero(t, p.load(0).InFlight())
	})
}

func TestAnRPCIsInFlightFromPickToDone(t *testing.T) {
	forEachBuiltIn(t, func(t *testing.T, name string) {
		p := newPool(1)
		built := p.build(name)
		_, done := pick(t, built)
		_, done2 := pick(t, built)
		assert.Equal(t, 2, p.load(0).InFlight())
		done(unavailable)
		assert.Equal(t, 1, p.load(0).InFlight())
		done2(ended)
		assert.Equal(t, 0, p.load(0).InFlight())
	})
}

// The set of connections changes all the time; their RPCs live on.
func TestANewPickerKnowsTheRPCsOfTheOldOne(t *testing.T) {
	p := newPool(2)
	old := p.build(picker.LeastInFlight)
	busy, _ := pick(t, old)
	require.NotContains(t, picks(t, p.build(picker.LeastInFlight), 100), busy)
}

// A failure, and the clock that is read after it, must not allocate either. A
// Done made in Pick, rather than l.done made once in load.New, does.
func TestAPickAllocatesNothing(t *testing.T) {
	forEachBuiltIn(t, func(t *testing.T, name string) {
		p := newPool(4)
		built := p.build(name)
		for _, end := range []balancer.DoneInfo{ended, unavailable} {
			require.Zero(t, testing.AllocsPerRun(1000, func() {
				res, _ := built.Pick(info)
				res.Done(end)
			}), "%v", end.Err)
		}
	})
}
