// Package resolver is the subpool target scheme: the pool for programs that take
// nothing but an address. It decorates the resolver of the target that it nests,
// names the policy with the settings of the query, and stamps endpoints with their
// size.
package resolver

import (
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/settings"
)

// Scheme is the scheme of the targets.
const Scheme = "subpool"

// dnsScheme is the scheme of hosts that a target names without one.
const dnsScheme = "dns"

var logger = grpclog.Component("subpool")

// NewBuilder returns the builder of the scheme, for resolver.Register.
func NewBuilder() resolver.Builder { return builder{} }

type builder struct{}

func (builder) Scheme() string { return Scheme }

// OverrideAuthority implements resolver.AuthorityOverrider. gRPC calls it before
// Build, which is where a bad target is told.
func (builder) OverrideAuthority(t resolver.Target) string {
	target, err := parse(t.URL)
	if err != nil {
		return authorityOf(t.Endpoint())
	}
	return target.authority()
}

// Build starts the resolvers of the hosts that the target names.
func (builder) Build(t resolver.Target, cc resolver.ClientConn, opts resolver.BuildOptions) (resolver.Resolver, error) {
	refuse := func(err error) (resolver.Resolver, error) { return refuse(t, cc, opts, err) }
	target, err := parse(t.URL)
	if err != nil {
		return refuse(err)
	}
	if opts.DisableServiceConfig {
		return refuse(targetError(t.URL.String(), "needs the service configs that grpc.WithDisableServiceConfig turns off; name the policy in the default service config instead"))
	}
	g := &group{cc: cc, name: settings.HideUserinfo(t.URL.String()), target: target}
	g.ours = cc.ParseServiceConfig(target.Settings.ServiceConfig())
	if g.ours.Err != nil { // a picker that is not registered
		why := strings.TrimPrefix(g.ours.Err.Error(), `error parsing config for policy "subpool": `)
		return refuse(targetError(g.name, "%s", why))
	}
	if err := g.build(opts); err != nil {
		g.Close()
		return refuse(targetError(g.name, "%v", err))
	}
	return g, nil
}

// refuse makes RPCs fail with err at once, those that wait for ready too: that takes
// a status. Behind an HTTP proxy gRPC would lose it, and only what is said of
// the service config fails them all.
func refuse(t resolver.Target, cc resolver.ClientConn, opts resolver.BuildOptions, err error) (resolver.Resolver, error) {
	if opts.Dialer != nil || !proxied(t) {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	_ = cc.UpdateState(resolver.State{ServiceConfig: &serviceconfig.ParseResult{Err: err}})
	return &group{}, nil
}

// proxied reports whether gRPC goes by a proxy, which it asks in the same way.
func proxied(t resolver.Target) bool {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: t.Endpoint()}})
	return err == nil && proxy != nil
}
