package picker

import (
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
	p := &wrapped{pool: poolOf(s), loads: make(map[balancer.SubConn]*load.Load, len(s.Conns))}
	ready := make(map[balancer.SubConn]base.SubConnInfo, len(s.Conns))
	for _, c := range s.Conns {
		p.loads[c.SubConn] = c.Load
		if len(p.conns) == len(p.all) || !c.Suspect { // it is not told of suspects
			ready[c.SubConn] = base.SubConnInfo{Address: *c.Address}
		}
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
		instead, err := p.pickFrom(0, info)
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
		res.Done = l.DoneFunc()
	}
	return res, nil
}
