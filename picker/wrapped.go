package picker

import (
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
)

// wrapped makes the pickers of a foreign builder count what they pick.
type wrapped struct{ base.PickerBuilder }

func (w wrapped) Build(info base.PickerBuildInfo) balancer.Picker {
	if len(info.ReadySCs) == 0 {
		return w.PickerBuilder.Build(info)
	}
	p := &wrappedPicker{nil, make(map[balancer.SubConn]*Load, len(info.ReadySCs)), poolOf(info)}
	for sc, sci := range info.ReadySCs {
		if pl, ok := sci.Address.Attributes.Value(placeKey{}).(place); ok {
			p.loads[sc] = pl.load
		}
	}
	if len(p.doubtful) > 0 { // it is not told of those
		some := make(map[balancer.SubConn]base.SubConnInfo, len(p.conns))
		for i := range p.conns {
			sc := p.conns[i].result.SubConn
			some[sc] = info.ReadySCs[sc]
		}
		info.ReadySCs = some
	}
	p.Picker = w.PickerBuilder.Build(info)
	return p
}

type wrappedPicker struct {
	balancer.Picker
	loads map[balancer.SubConn]*Load // never written after Build
	pool
}

func (p *wrappedPicker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	if p.gate.Repeats() && p.gate.isRepeat(info) {
		return p.repeat(info)
	}
	res, err := p.Picker.Pick(info)
	if err != nil {
		return res, err
	}
	l := p.loads[res.SubConn]
	if l == nil {
		return res, nil // not one of ours: gRPC says what is wrong with it
	}
	if !l.reserve() {
		// It drains or is full. The foreign picker must hear that its pick came
		// to nothing.
		if res.Done != nil {
			res.Done(balancer.DoneInfo{})
		}
		other, err := p.any(0)
		other.Metadata = res.Metadata
		return other, err
	}
	if theirs := res.Done; theirs != nil {
		res.Done = func(info balancer.DoneInfo) {
			theirs(info)
			l.done(info)
		}
	} else {
		res.Done = l.done
	}
	return res, nil
}
