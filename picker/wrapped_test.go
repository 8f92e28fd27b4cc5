package picker_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-subpool/subpool/picker"
)

// foreign is a builder, and the picker that it builds, of an application.
type foreign func(balancer.PickInfo) (balancer.PickResult, error)

func (f foreign) Build(base.PickerBuildInfo) balancer.Picker               { return f }
func (f foreign) Pick(info balancer.PickInfo) (balancer.PickResult, error) { return f(info) }

// result picks the first connection of p, and is told of the end in done.
func (p *pool) result(done func(balancer.DoneInfo)) foreign {
	return func(balancer.PickInfo) (balancer.PickResult, error) {
		return balancer.PickResult{SubConn: p.load(0).Picked().SubConn, Done: done}, nil
	}
}

// registered returns the picker of f for p as the policy would get it.
func registered(t *testing.T, p *pool, f foreign) balancer.Picker {
	picker.Register(t.Name(), f)
	return p.build(t.Name())
}

func TestAForeignPickIsCountedUntilItsEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		done func(balancer.DoneInfo)
	}{{"with a Done of its own", func(balancer.DoneInfo) {}}, {"without", nil}} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(1)
			_, done := pick(t, registered(t, p, p.result(tt.done)))
			assert.Equal(t, 1, p.load(0).InFlight())
			done(ended)
			assert.Equal(t, 0, p.load(0).InFlight())
		})
	}
}

// Guards: `instead.Metadata = res.Metadata`.
func TestTheMetadataOfAForeignPickIsKeptWhereAnotherConnectionIsTaken(t *testing.T) {
	p := newPool(2)
	f := p.result(nil)
	res, _ := f.Pick(anRPC())
	built := registered(t, p, func(balancer.PickInfo) (balancer.PickResult, error) {
		return balancer.PickResult{SubConn: res.SubConn, Metadata: metadata.Pairs("key", "value")}, nil
	})
	p.load(res.SubConn.(*subConn).id).Drain()
	other, err := built.Pick(anRPC())
	require.NoError(t, err)
	require.NotEqual(t, res.SubConn, other.SubConn)
	require.Equal(t, []string{"value"}, other.Metadata.Get("key"))
}

func TestAForeignDoneIsCalledOnceWithWhatHappened(t *testing.T) {
	p := newPool(1)
	var told []balancer.DoneInfo
	built := registered(t, p, p.result(func(info balancer.DoneInfo) { told = append(told, info) }))
	_, done := pick(t, built)
	require.Empty(t, told, "before the end")
	done(unavailable)
	require.Equal(t, []balancer.DoneInfo{unavailable}, told)
}

// What a foreign picker does not avoid, least_in_flight will once the settings
// name it: a failure belongs to the connection.
func TestAForeignPickThatFailsIsAFailureOfTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1)
		_, done := pick(t, registered(t, p, p.result(func(balancer.DoneInfo) {})))
		done(unavailable)
		require.Zero(t, p.load(0).InFlight(), "or that alone would be why")
		p.add(1)
		require.NotContains(t, picks(t, p.build(picker.LeastInFlight), 100), 0)
	})
}

// A foreign picker that counts picks, as a least-request picker does, must be told that
// one came to nothing: without the call of res.Done in wrapped.Pick its
// count would stay up for ever.
func TestAForeignPickOfADrainingConnectionWaitsAndItsDoneIsTold(t *testing.T) {
	p := newPool(1)
	var told []balancer.DoneInfo
	built := registered(t, p, p.result(func(info balancer.DoneInfo) { told = append(told, info) }))
	p.load(0).Drain()
	res, err := built.Pick(anRPC())
	assert.ErrorIs(t, err, balancer.ErrNoSubConnAvailable)
	assert.Nil(t, res.SubConn)
	assert.Equal(t, []balancer.DoneInfo{{}}, told)
	assert.True(t, p.load(0).Drained())
}

func TestAForeignPickOfADrainingConnectionNeedsNoDone(t *testing.T) {
	p := newPool(1)
	built := registered(t, p, p.result(nil))
	p.load(0).Drain()
	_, err := built.Pick(anRPC())
	require.ErrorIs(t, err, balancer.ErrNoSubConnAvailable)
}

// Without the check of l for nil this would be a panic in an RPC; as it is, gRPC
// says what is wrong with the SubConn.
func TestAnUnknownSubConnPassesThrough(t *testing.T) {
	unknown, calls := &subConn{id: 7}, 0
	built := registered(t, newPool(1), func(balancer.PickInfo) (balancer.PickResult, error) {
		return balancer.PickResult{SubConn: unknown, Done: func(balancer.DoneInfo) { calls++ }}, nil
	})
	id, done := pick(t, built)
	assert.Equal(t, 7, id)
	done(ended)
	assert.Equal(t, 1, calls)
}

// addresses is a foreign builder that notes the addresses that it is given.
type addresses []string

func (a *addresses) Build(info base.PickerBuildInfo) balancer.Picker {
	for _, sc := range info.ReadySCs {
		*a = append(*a, sc.Address.Addr)
	}
	return anyOfThese(info.ReadySCs)
}

func TestAForeignBuilderIsGivenTheAddresses(t *testing.T) {
	p, given := newPool(2), new(addresses)
	p.load(0).Address().Addr, p.load(1).Address().Addr = "a:1", "b:1"
	picker.Register(t.Name(), given)
	p.build(t.Name())
	require.ElementsMatch(t, addresses{"a:1", "b:1"}, *given)
}

func TestAForeignErrorPassesThrough(t *testing.T) {
	theirs := errors.New("no")
	_, err := registered(t, newPool(1), func(balancer.PickInfo) (balancer.PickResult, error) {
		return balancer.PickResult{}, theirs
	}).Pick(anRPC())
	require.Same(t, theirs, err)
}

// A picker by header needs the one, and may set the other.
func TestAForeignPickerSeesTheRPCAndItsMetadataIsSent(t *testing.T) {
	p := newPool(1)
	sent := metadata.Pairs("picked", "by /service/method")
	inner := p.result(nil)
	built := registered(t, p, func(info balancer.PickInfo) (balancer.PickResult, error) {
		res, err := inner(info)
		res.Metadata = metadata.Pairs("picked", "by "+info.FullMethodName)
		return res, err
	})
	res, err := built.Pick(balancer.PickInfo{FullMethodName: "/service/method"})
	require.NoError(t, err)
	require.Equal(t, sent, res.Metadata)
}

func TestNamesAreInOrderAndHoldTheBuiltInOnes(t *testing.T) {
	before := picker.Names()
	picker.Register("a_"+t.Name(), foreign(nil))
	picker.Register("z_"+t.Name(), foreign(nil))
	names := picker.Names()
	assert.True(t, slices.IsSorted(names), "%v", names)
	assert.Subset(t, names, append(before, picker.LeastInFlight, picker.RoundRobin, "a_"+t.Name(), "z_"+t.Name()))
}

func TestEachNameHasItsPicker(t *testing.T) {
	for _, name := range append(builtIn, "any_of") {
		require.NotNil(t, newPool(1).build(name), name)
	}
}

func TestANameRegisteredTwiceMeansTheLater(t *testing.T) {
	p := newPool(1)
	picker.Register(t.Name(), foreign(nil))
	_, err := registered(t, p, p.result(nil)).Pick(anRPC())
	require.NoError(t, err)
}
