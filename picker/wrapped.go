package picker

import (
	"math/rand/v2"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"

	"github.com/grpc-subpool/subpool/internal/load"
)

// wrapped makes the picker of a foreign builder count what it picks.
type wrapped struct {
	balancer.Picker
	loads map[balancer.SubConn]*load.Load // never written after wrap
	pool
}

func wrap(b base.PickerBuilder, s load.Input) balancer.Picker {
	p := &wrapped{pool: poolOf(s)}
	p.loads = make(map[balancer.SubConn]*load.Load, len(p.all))
	for _, l := range p.all {
		p.loads[l.Picked().SubConn] = l
	}
	ready := make(map[balancer.SubConn]base.SubConnInfo, len(p.conns))
	for _, l := range p.conns {
		ready[l.Picked().SubConn] = base.SubConnInfo{Address: *l.Address()}
	}
	p.Picker = b.Build(base.PickerBuildInfo{ReadySCs: ready})
	return p
}

func (p *wrapped) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	if p.Waiters.ExpectsRepicks() && p.Waiters.PicksAgain(info.Ctx) {
		return p.retry(info)
	}
	res, err := p.Picker.Pick(info)
	if err != nil {
		p.Waiters.StillHeld(info.Ctx)
		return res, err
	}
	l := p.loads[res.SubConn]
	if l == nil {
		p.Waiters.Placed(info.Ctx)
		return res, nil // not one of ours: gRPC says what is wrong with it
	}
	if !l.Reserve() {
		// It drains or is full. The foreign picker must be told that its pick
		// came to nothing.
		if res.Done != nil {
			res.Done(balancer.DoneInfo{})
		}
		instead, err := p.pickFrom(rand.IntN(len(p.conns)), info)
		instead.Metadata = res.Metadata
		return instead, err
	}
	p.Waiters.Placed(info.Ctx)
	if theirs := res.Done; theirs != nil {
		res.Done = func(info balancer.DoneInfo) {
			theirs(info)
			l.Done(info)
		}
	} else {
		res.Done = l.Picked().Done
	}
	return res, nil
}
