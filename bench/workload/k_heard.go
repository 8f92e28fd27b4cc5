package workload

import (
	"encoding/json"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
)

// hearing is before the name of a policy that is listened to: a channel does not tell how
// many of its connections are READY.
const hearing = "heard_"

var hearingBuilders = map[string]*hearingBuilder{
	roundRobin: {Builder: balancer.Get(roundRobin)},
	ours:       {Builder: balancer.Get(ours)},
}

func init() {
	for _, b := range hearingBuilders {
		balancer.Register(b)
	}
}

// heardBy returns what tells what is heard in the channel that is made next; nil before its
// policy is built.
func heardBy(policy string) func() *heard {
	b := hearingBuilders[policy]
	b.last.Store(nil)
	return b.last.Load
}

// A hearingBuilder builds a policy as it is, in a channel that is listened to.
type hearingBuilder struct {
	balancer.Builder
	last atomic.Pointer[heard]
}

func (b *hearingBuilder) Name() string { return hearing + b.Builder.Name() }

func (b *hearingBuilder) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	h := &heard{ClientConn: cc}
	b.last.Store(h)
	return b.Builder.Build(h, opts)
}

// ParseConfig has none for a policy that takes none.
func (b *hearingBuilder) ParseConfig(js json.RawMessage) (serviceconfig.LoadBalancingConfig, error) {
	if p, ok := b.Builder.(balancer.ConfigParser); ok {
		return p.ParseConfig(js)
	}
	return nil, nil
}

// A heard counts what the policy is told and gives.
type heard struct {
	balancer.ClientConn
	ready, published atomic.Int64
	changedAt        atomic.Int64 // Unix time in ns
}

func (h *heard) changed() { h.changedAt.Store(time.Now().UnixNano()) }

func (h *heard) NewSubConn(addrs []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	listener, was := opts.StateListener, false // the channel tells one state after the other
	opts.StateListener = func(s balancer.SubConnState) {
		is := s.ConnectivityState == connectivity.Ready
		switch {
		case is && !was:
			h.ready.Add(1)
		case was && !is:
			h.ready.Add(-1)
		}
		was = is
		listener(s)
		h.changed()
	}
	return h.ClientConn.NewSubConn(addrs, opts)
}

func (h *heard) UpdateState(s balancer.State) {
	h.ClientConn.UpdateState(s)
	h.published.Add(1)
	h.changed()
}
