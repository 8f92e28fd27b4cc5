package resolver

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
)

// A group is the resolvers of the hosts of one target, as one resolver.
type group struct {
	cc     resolver.ClientConn
	name   string // the target, for messages
	target Target
	ours   *serviceconfig.ParseResult // where no inner resolver gives any

	// mu is held across calls of cc, so that what is published last is what was
	// known last. Nothing that cc calls in return takes it.
	mu      sync.Mutex
	members []*member
}

// A member is the channel as the resolver of one host sees it.
type member struct {
	resolver.ClientConn
	g        *group
	host     resolver.Target
	resolver resolver.Resolver
	state    *resolver.State
	err      error // of the last answer, nil for a state
	policies bool  // its service config names LB policies
}

// build starts all resolvers. They may answer at once, so all are known before.
func (g *group) build(opts resolver.BuildOptions) (err error) {
	for _, host := range g.target.Inner {
		g.members = append(g.members, &member{ClientConn: g.cc, g: g, host: host})
	}
	for _, m := range g.members {
		if m.resolver, err = resolver.Get(m.host.URL.Scheme).Build(m.host, m, opts); err != nil {
			return err
		}
	}
	return nil
}

// ResolveNow asks all hosts.
func (g *group) ResolveNow(o resolver.ResolveNowOptions) {
	for _, m := range g.members {
		m.resolver.ResolveNow(o)
	}
}

// Close closes all resolvers that were built.
func (g *group) Close() {
	for _, m := range g.members {
		if m.resolver != nil {
			m.resolver.Close()
		}
	}
}

// UpdateState publishes what all hosts have, now that this one has news.
func (m *member) UpdateState(s resolver.State) error {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	if s.Endpoints == nil {
		s.Endpoints = endpointsOf(s.Addresses)
	}
	if m.policies && len(s.Endpoints) == 0 {
		err := targetError(m.g.name, "%q gives no addresses but load-balancing policies of its own; use %q itself", m.host.URL.Scheme, m.host.URL.String())
		return m.g.cc.UpdateState(resolver.State{ServiceConfig: &serviceconfig.ParseResult{Err: err}})
	}
	m.state, m.err = &s, nil
	return m.g.cc.UpdateState(m.g.union())
}

// NewAddress is UpdateState of resolvers that were written long ago.
func (m *member) NewAddress(addresses []resolver.Address) {
	m.g.mu.Lock()
	s := resolver.State{Addresses: addresses}
	if m.state != nil {
		s.ServiceConfig = m.state.ServiceConfig
	}
	m.g.mu.Unlock()
	_ = m.UpdateState(s)
}

// ReportError keeps what other hosts have. gRPC is told only when no host has
// anything, and none may still find something.
func (m *member) ReportError(err error) {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	m.err = err
	if len(m.g.members) > 1 {
		logger.Warningf("subpool: %s: %s: %v", m.g.name, m.host.Endpoint(), err)
	}
	if slices.ContainsFunc(m.g.members, func(m *member) bool { return m.err == nil }) {
		return
	}
	m.g.cc.ReportError(err)
}

// union is what all hosts have. Where several give a service config or attributes,
// the first one's count, whose name is the authority too.
func (g *group) union() (all resolver.State) {
	for _, m := range g.members {
		if m.state == nil {
			continue
		}
		all.Addresses = append(all.Addresses, m.state.Addresses...)
		for _, e := range m.state.Endpoints {
			if _, stamped := Size(e); !stamped && slices.Contains(g.target.Given, "size") {
				e = WithSize(e, g.target.Settings.MaxSize)
			}
			all.Endpoints = append(all.Endpoints, e)
		}
		if all.ServiceConfig == nil {
			all.ServiceConfig = m.state.ServiceConfig
		}
		if all.Attributes == nil {
			all.Attributes = m.state.Attributes
		}
	}
	if all.ServiceConfig == nil {
		all.ServiceConfig = g.ours
	}
	return all
}

// ParseServiceConfig keeps everything that the inner resolver wants but its
// policy, which is ours.
func (m *member) ParseServiceConfig(js string) *serviceconfig.ParseResult {
	merged, named, err := withPolicy(js, m.g.target.Settings.ServiceConfig())
	if err != nil {
		return m.g.cc.ParseServiceConfig(js) // gRPC says what is wrong
	}
	m.g.mu.Lock()
	m.policies = named
	m.g.mu.Unlock()
	return m.g.cc.ParseServiceConfig(merged)
}

// withPolicy puts the policy of ours in place of those that a service config
// names, if any. gRPC reads field names in any case, so they are matched so.
func withPolicy(js, ours string) (merged string, named bool, err error) {
	fields := make(map[string]json.RawMessage)
	if err := json.Unmarshal([]byte(js), &fields); err != nil {
		return "", false, err
	}
	for name := range fields {
		if strings.EqualFold(name, "loadBalancingConfig") || strings.EqualFold(name, "loadBalancingPolicy") {
			delete(fields, name)
			named = true
		}
	}
	if err := json.Unmarshal([]byte(ours), &fields); err != nil { // adds to the map
		return "", false, err
	}
	out, err := json.Marshal(fields)
	return string(out), named, err
}

// endpointsOf is what gRPC makes of addresses that come without endpoints.
func endpointsOf(addresses []resolver.Address) []resolver.Endpoint {
	endpoints := make([]resolver.Endpoint, 0, len(addresses))
	for _, a := range addresses {
		//lint:ignore SA1019 old resolvers set it, and gRPC moves it so
		e := resolver.Endpoint{Attributes: a.BalancerAttributes}
		a.BalancerAttributes = nil //lint:ignore SA1019 as above
		e.Addresses = []resolver.Address{a}
		endpoints = append(endpoints, e)
	}
	return endpoints
}
