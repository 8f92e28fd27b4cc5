package resolver

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/balancer"
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
	members []*member // not changed once it is built
	built   bool      // before, answers are only remembered
}

// A member is the channel as the resolver of one host sees it.
type member struct {
	resolver.ClientConn
	g        *group
	host     resolver.Target
	resolver resolver.Resolver
	state    *resolver.State
	err      error                      // of the last answer, nil for one with addresses
	policies *serviceconfig.ParseResult // of the last service config that named some
}

var errNoAddresses = errors.New("it has no addresses")

// build starts all resolvers. They may answer at once; that is published when all of
// them are there, for one may be refused.
func (g *group) build(opts resolver.BuildOptions) (err error) {
	for _, host := range g.target.Inner {
		g.members = append(g.members, &member{ClientConn: g.cc, g: g, host: host})
	}
	for _, m := range g.members {
		if m.resolver, err = resolver.Get(m.host.URL.Scheme).Build(m.host, m, opts); err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.built = true
	if slices.ContainsFunc(g.members, func(m *member) bool { return m.state != nil || m.err != nil }) {
		_ = g.publishLocked()
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

// publishLocked tells gRPC what all hosts have. With nothing it waits while one may
// still find something; then an error says more than the lack of addresses.
func (g *group) publishLocked() error {
	if !g.built {
		return nil
	}
	all := g.union()
	if len(all.Endpoints) > 0 {
		return g.cc.UpdateState(all)
	}
	why := error(nil)
	for _, m := range g.members {
		if m.state == nil && m.err == nil {
			return balancer.ErrBadResolverState
		}
		if m.err != nil && !errors.Is(m.err, errNoAddresses) {
			why = m.err
		}
	}
	if why != nil {
		g.cc.ReportError(why)
		return balancer.ErrBadResolverState
	}
	return g.cc.UpdateState(all)
}

// UpdateState publishes what all hosts have, now that this one has news. A host of a
// list that has no addresses must ask again by itself, whatever the other hosts have.
func (m *member) UpdateState(s resolver.State) error {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.Endpoints == nil {
		s.Endpoints = endpointsOf(s.Addresses)
	}
	m.state, m.err = &s, nil
	if len(s.Endpoints) > 0 {
		return g.publishLocked()
	}
	m.err = errNoAddresses
	// DNS has policies in TXT records, but none that would find addresses.
	if scheme := m.host.URL.Scheme; scheme != dnsScheme && s.ServiceConfig != nil && s.ServiceConfig == m.policies {
		err := targetError(g.name, "%q gives no addresses but load-balancing policies of its own; use %q itself", scheme, m.host.URL.String())
		return g.cc.UpdateState(resolver.State{ServiceConfig: &serviceconfig.ParseResult{Err: err}})
	}
	err := g.publishLocked()
	if len(g.members) > 1 {
		return balancer.ErrBadResolverState
	}
	return err
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

// ReportError keeps what this and other hosts have. Of a list gRPC is told only when
// there is nothing.
func (m *member) ReportError(err error) {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	m.err = err
	if len(g.members) == 1 && g.built {
		g.cc.ReportError(err)
		return
	}
	logger.Warningf("subpool: %s: %s: %v", g.name, m.host.Endpoint(), err)
	if len(g.union().Endpoints) == 0 {
		_ = g.publishLocked()
	}
}

// union is what all hosts have. Where several give a service config or attributes,
// the first good one's count, whose name is the authority too.
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
		if all.ServiceConfig == nil || all.ServiceConfig.Err != nil && m.state.ServiceConfig != nil {
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
	result := m.g.cc.ParseServiceConfig(merged)
	if named {
		m.g.mu.Lock()
		m.policies = result
		m.g.mu.Unlock()
	}
	return result
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
		// Old resolvers set it, and gRPC moves it so.
		e := resolver.Endpoint{Attributes: a.BalancerAttributes}
		a.BalancerAttributes = nil
		e.Addresses = []resolver.Address{a}
		endpoints = append(endpoints, e)
	}
	return endpoints
}
