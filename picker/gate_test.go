package picker

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
)

// heldPool returns a pool of one full connection, whose picker holds RPCs.
func heldPool(g *Gate) *pool {
	l := NewLoad(g)
	l.SetLimit(1)
	l.reserve()
	g.Open(Terms{})
	return &pool{gate: g, conns: []conn{{Load: l}}, Terms: Terms{Hold: true}, crowd: g.crowd.Load()}
}

func TestAnRPCWithoutRoomIsHeldAndCounted(t *testing.T) {
	pressed := 0
	g := &Gate{Pressure: func() { pressed++ }}
	p := heldPool(g)
	_, err := p.any(0)
	require.Equal(t, balancer.ErrNoSubConnAvailable, err)
	require.Equal(t, 1, g.Waiting())
	require.Equal(t, 1, pressed)
}

func TestAPlaceThatComesFreeIsTold(t *testing.T) {
	told := 0
	g := &Gate{Room: func() { told++ }}
	p := heldPool(g)
	_, _ = p.any(0)
	p.conns[0].release()
	require.Equal(t, 1, told)
	some, many := g.Freed()
	require.True(t, some)
	require.True(t, many)
}

// The last of a picker's RPCs may find its place only after the next picker was
// made. Counted in common, it would take the place of one that is still held, and
// nobody would hear of the next place.
func TestAnOutdatedPickerDoesNotMixUpTheCounts(t *testing.T) {
	told := 0
	g := &Gate{Room: func() { told++ }}
	old := heldPool(g)
	l := old.conns[0].Load
	g.Pressure = func() { // between counting and the second look
		g.Pressure = nil
		l.release()
		g.Open(Terms{})
	}
	_, err := old.any(0)
	require.NoError(t, err)
	require.Zero(t, g.Waiting())

	next := &pool{gate: g, conns: old.conns, Terms: Terms{Hold: true}, crowd: g.crowd.Load()}
	_, err = next.any(0)
	require.Equal(t, balancer.ErrNoSubConnAvailable, err)
	require.Equal(t, 1, g.Waiting())
	told = 0
	l.release()
	require.Equal(t, 1, told)
}

func TestWithoutHoldingAFullConnectionTakesMore(t *testing.T) {
	p := heldPool(new(Gate))
	p.Hold = false
	_, err := p.any(0)
	require.NoError(t, err)
	require.Equal(t, 2, p.conns[0].InFlight())
}

// The server raised its limit: nothing ended, and yet there is room.
func TestPlacesThatAreNewAreTold(t *testing.T) {
	told := 0
	g := &Gate{Room: func() { told++ }}
	p := heldPool(g)
	_, _ = p.any(0)
	p.conns[0].SetLimit(1)
	require.Zero(t, told)
	p.conns[0].SetLimit(2)
	require.Equal(t, 1, told)
	_, many := g.Freed()
	require.True(t, many)
}

// built is what a picker of these connections has.
func built(loads ...*Load) pool {
	info := base.PickerBuildInfo{ReadySCs: make(map[balancer.SubConn]base.SubConnInfo)}
	for i, l := range loads {
		sc := &struct {
			balancer.SubConn
			number int
		}{number: i}
		info.ReadySCs[sc] = base.SubConnInfo{Address: WithLoad(resolver.Address{}, l, i)}
	}
	return poolOf(info)
}

func TestAsManyAsTheBoundMayWait(t *testing.T) {
	g := new(Gate)
	g.Open(Terms{Bound: 1 + 2})
	l := NewLoad(g)
	l.SetLimit(1)
	l.reserve()
	p := built(l)
	for range 2 {
		_, err := p.any(0)
		require.NoError(t, err)
	}
	for range 3 {
		_, err := p.any(0)
		require.ErrorContains(t, err, "subpool: maxPending: 2")
	}
	require.Equal(t, 3, l.InFlight())
	l.release()
	_, err := p.any(0)
	require.NoError(t, err)
}

// Racing picks must not become more, and some must get through.
func TestRacingPicksKeepTheBound(t *testing.T) {
	g := new(Gate)
	g.Open(Terms{Bound: 1 + 5})
	var loads []*Load
	for range 3 {
		l := NewLoad(g)
		l.SetLimit(1)
		loads = append(loads, l)
	}
	p := built(loads...)
	var in, most atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 2000 {
				res, err := p.any(0)
				if err != nil {
					continue
				}
				now := in.Add(1)
				for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
				}
				runtime.Gosched()
				in.Add(-1)
				res.Done(balancer.DoneInfo{})
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, most.Load(), int64(3+5))
	require.Greater(t, most.Load(), int64(3))
	for i := range p.conns {
		require.Zero(t, p.conns[i].InFlight())
	}
}

func TestSilenceIsADeadlineAfterSendingAndNotAByte(t *testing.T) {
	deadline := status.Error(codes.DeadlineExceeded, "")
	for _, tt := range []struct {
		info balancer.DoneInfo
		want int
	}{
		{balancer.DoneInfo{Err: deadline, BytesSent: true}, 1},
		{balancer.DoneInfo{Err: deadline, BytesSent: true, BytesReceived: true}, 0},
		{balancer.DoneInfo{Err: deadline}, 0}, // it waited for a stream
		{balancer.DoneInfo{Err: status.Error(codes.Canceled, ""), BytesSent: true}, 0},
		{balancer.DoneInfo{BytesSent: true}, 0},
	} {
		silent := 0
		l := NewLoad(new(Gate))
		l.OnSilence(func() { silent++ })
		l.reserve()
		l.done(tt.info)
		require.Equal(t, tt.want, silent)
		require.Zero(t, l.InFlight())
	}
}

// The second look of an RPC that is about to be held goes to doubtful connections, too.
func TestAPlaceOnADoubtfulConnectionIsNotMissed(t *testing.T) {
	g := new(Gate)
	full := func() *Load { l := NewLoad(g); l.SetLimit(1); l.reserve(); return l }
	good, doubtful, leaving := full(), full(), NewLoad(g)
	leaving.Drain()
	g.Empty = func() { g.Empty = nil; doubtful.release() } // just after it was looked at
	g.Open(Terms{})
	p := &pool{gate: g, conns: []conn{{Load: good}}, doubtful: []conn{{Load: doubtful}, {Load: leaving}}, Terms: Terms{Hold: true}, crowd: g.crowd.Load()}
	_, err := p.any(0)
	require.NoError(t, err)
}

func TestRPCsQueueInProportionToTheLimits(t *testing.T) {
	g := new(Gate)
	big, small, none := NewLoad(g), NewLoad(g), NewLoad(g)
	big.SetLimit(30)
	small.SetLimit(10)
	none.SetLimit(0)
	p := &pool{gate: g, conns: []conn{{Load: none}, {Load: small}, {Load: big}}}
	for range 120 {
		_, err := p.any(0)
		require.NoError(t, err)
	}
	require.Equal(t, []int{0, 30, 90}, []int{none.InFlight(), small.InFlight(), big.InFlight()})
}

// Guards: `info.BytesReceived` in NewLoad. An application that answers NOT_FOUND serves.
func TestAnyAnswerOfTheServerHasServed(t *testing.T) {
	for _, info := range []balancer.DoneInfo{
		{}, // the SubConn was not READY
		{Err: status.Error(codes.Unavailable, "")},
		{Err: status.Error(codes.DeadlineExceeded, ""), BytesSent: true},
	} {
		l := NewLoad(new(Gate))
		l.reserve()
		l.done(info)
		require.False(t, l.Served(), "%+v", info)
	}
	for _, code := range []codes.Code{codes.OK, codes.NotFound, codes.Unauthenticated, codes.Unavailable} {
		l := NewLoad(new(Gate))
		l.reserve()
		l.done(balancer.DoneInfo{Err: status.Error(code, ""), BytesSent: true, BytesReceived: true})
		require.True(t, l.Served(), code)
	}
}
