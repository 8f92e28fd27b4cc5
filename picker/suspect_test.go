package picker_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"

	"github.com/grpc-subpool/subpool/picker"
)

// anyOf is a foreign builder, of pickers that take one of what they were given.
type anyOf struct{}

func (anyOf) Build(info base.PickerBuildInfo) balancer.Picker { return anyOfThese(info.ReadySCs) }

type anyOfThese map[balancer.SubConn]base.SubConnInfo

func (p anyOfThese) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	for sc := range p {
		return balancer.PickResult{SubConn: sc}, nil
	}
	return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
}

func init() { picker.Register("any_of", anyOf{}) }

func TestASuspectConnectionIsTakenWhenNoOtherCanBe(t *testing.T) {
	for _, name := range append(builtIn, "any_of") {
		t.Run(name, func(t *testing.T) {
			p := newPool(2)
			p.load(0).SetLimit(10)
			p.suspect(1)
			built := p.build(name)
			for range 10 {
				id, _ := pick(t, built)
				require.Equal(t, 0, id)
			}
			id, _ := pick(t, built)
			require.Equal(t, 1, id, "the other one is full")
		})
	}
}

func TestASuspectConnectionIsTakenWhenItIsAlone(t *testing.T) {
	for _, name := range append(builtIn, "any_of") {
		p := newPool(2)
		p.suspect(0)
		built := p.build(name)
		seen := make(map[int]bool)
		for range 100 {
			id, _ := pick(t, built)
			seen[id] = true
		}
		require.Len(t, seen, 2, name)
	}
}
