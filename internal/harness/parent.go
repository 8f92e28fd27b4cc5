package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
)

// A ParentPolicy is an LB policy with one child, whose doings it shows.
type ParentPolicy struct {
	name     string
	subConns atomic.Int64
	refuse   atomic.Bool
	deaf     atomic.Bool
	picker   atomic.Pointer[balancer.Picker]
	addr     atomic.Pointer[resolver.Address]
	updates  atomic.Int64
	ready    atomic.Int64
}

// Parent registers a ParentPolicy; each test needs a name of its own.
func Parent(name string) *ParentPolicy {
	p := &ParentPolicy{name: "parent_" + strings.ToLower(name)}
	balancer.Register(p)
	return p
}

// Policy is a service config that names p, with a child like {"round_robin":{}}.
func (p *ParentPolicy) Policy(child string) string {
	return fmt.Sprintf(`{"loadBalancingConfig":[{%q:%s}]}`, p.name, child)
}

// RefuseSubConns makes NewSubConn fail.
func (p *ParentPolicy) RefuseSubConns(refuse bool) { p.refuse.Store(refuse) }

// DropCreds makes NewSubConn ignore the credentials that the child gives.
func (p *ParentPolicy) DropCreds() { p.deaf.Store(true) }

// SubConns is how often the child called NewSubConn.
func (p *ParentPolicy) SubConns() int { return int(p.subConns.Load()) }

// Addr is the address of the last SubConn.
func (p *ParentPolicy) Addr() resolver.Address { return *p.addr.Load() }

// Picker is what the child published last, nil if nothing yet.
func (p *ParentPolicy) Picker() balancer.Picker {
	if picker := p.picker.Load(); picker != nil {
		return *picker
	}
	return nil
}

// Updates is how often the child called UpdateState.
func (p *ParentPolicy) Updates() int { return int(p.updates.Load()) }

// Ready is how many connections ever became READY.
func (p *ParentPolicy) Ready() int { return int(p.ready.Load()) }

// Name implements balancer.Builder.
func (p *ParentPolicy) Name() string { return p.name }

type parentConfig struct {
	serviceconfig.LoadBalancingConfig
	child  balancer.Builder
	config serviceconfig.LoadBalancingConfig
}

// ParseConfig implements balancer.ConfigParser.
func (p *ParentPolicy) ParseConfig(js json.RawMessage) (serviceconfig.LoadBalancingConfig, error) {
	var children map[string]json.RawMessage
	if err := json.Unmarshal(js, &children); err != nil {
		return nil, err
	}
	for name, config := range children {
		c := parentConfig{child: balancer.Get(name)}
		parser, ok := c.child.(balancer.ConfigParser)
		if !ok {
			return c, nil
		}
		var err error
		c.config, err = parser.ParseConfig(config)
		return c, err
	}
	return nil, errors.New("harness: no child policy")
}

// Build implements balancer.Builder.
func (p *ParentPolicy) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	return &parent{policy: p, cc: cc, opts: opts}
}

type parent struct {
	balancer.Balancer // the child, once its name is known
	policy            *ParentPolicy
	cc                balancer.ClientConn
	opts              balancer.BuildOptions
}

func (b *parent) UpdateClientConnState(s balancer.ClientConnState) error {
	config := s.BalancerConfig.(parentConfig)
	if b.Balancer == nil {
		b.Balancer = config.child.Build(parentClientConn{b.cc, b.policy}, b.opts)
	}
	s.BalancerConfig = config.config
	return b.Balancer.UpdateClientConnState(s)
}

type parentClientConn struct {
	balancer.ClientConn
	policy *ParentPolicy
}

func (cc parentClientConn) NewSubConn(addrs []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	cc.policy.subConns.Add(1)
	cc.policy.addr.Store(&addrs[0])
	if cc.policy.refuse.Load() {
		return nil, errors.New("harness: no SubConn")
	}
	if cc.policy.deaf.Load() {
		// So does grpc once it is removed.
		opts.CredsBundle = nil
	}
	if listener := opts.StateListener; listener != nil { // older policies have none
		opts.StateListener = func(st balancer.SubConnState) {
			if st.ConnectivityState == connectivity.Ready {
				cc.policy.ready.Add(1)
			}
			listener(st)
		}
	}
	return cc.ClientConn.NewSubConn(addrs, opts)
}

func (cc parentClientConn) UpdateState(s balancer.State) {
	cc.policy.updates.Add(1)
	cc.policy.picker.Store(&s.Picker)
	cc.ClientConn.UpdateState(s)
}
