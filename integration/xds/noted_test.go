package xds_test

import (
	"encoding/json"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/serviceconfig"

	"github.com/grpc-subpool/subpool/picker"
)

var (
	noted = &notedPolicy{Builder: balancer.Get("subpool")}
	turns = &turnsBuilder{}
)

func init() {
	balancer.Register(noted)
	picker.Register("turns", turns)
}

// A notedPolicy is subpool under another name, which notes what policies called it.
type notedPolicy struct {
	balancer.Builder
	above atomic.Pointer[[]string]
}

func (*notedPolicy) Name() string { return "subpool_noted" }

func (p *notedPolicy) ParseConfig(js json.RawMessage) (serviceconfig.LoadBalancingConfig, error) {
	return p.Builder.(balancer.ConfigParser).ParseConfig(js)
}

func (p *notedPolicy) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	return notedBalancer{p.Builder.Build(cc, opts), p}
}

type notedBalancer struct {
	balancer.Balancer
	policy *notedPolicy
}

func (b notedBalancer) UpdateClientConnState(s balancer.ClientConnState) error {
	pcs := make([]uintptr, 100)
	var above []string
	for frames, more := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)]), true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		pkg, _, _ := strings.Cut(path.Base(f.Function), ".")
		isPolicy := strings.Contains(f.Function, "/balancer/") && pkg != "gracefulswitch" // with which some hold their child
		if isPolicy && !slices.Contains(above, pkg) {
			above = append(above, pkg)
		}
	}
	b.policy.above.Store(&above)
	return b.Balancer.UpdateClientConnState(s)
}

// A turnsBuilder makes pickers that take connections in turn, and counts them.
type turnsBuilder struct{ built atomic.Int32 }

func (b *turnsBuilder) Build(info base.PickerBuildInfo) balancer.Picker {
	b.built.Add(1)
	p := &turnsPicker{}
	for sc := range info.ReadySCs {
		p.all = append(p.all, sc)
	}
	return p
}

type turnsPicker struct {
	all  []balancer.SubConn
	next atomic.Uint32
}

func (p *turnsPicker) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	return balancer.PickResult{SubConn: p.all[int(p.next.Add(1))%len(p.all)]}, nil
}
