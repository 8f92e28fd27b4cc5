package resolver_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	grpcresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/grpc-subpool/subpool/resolver"
)

// registry is a resolver that reads a query of its own, as those for etcd and Consul do: it finds
// the server under the key that is asked for.
type registry struct{ keys map[string]string }

func init() { grpcresolver.Register(registry{map[string]string{"a b&c?d": "x:1"}}) }

func (registry) Scheme() string { return "registry" }

func (r registry) Build(t grpcresolver.Target, cc grpcresolver.ClientConn, opts grpcresolver.BuildOptions) (grpcresolver.Resolver, error) {
	m := manual.NewBuilderWithScheme(r.Scheme())
	if found, ok := r.keys[t.URL.Query().Get("key")]; ok {
		m.InitialState(addresses(found))
	}
	return m.Build(t, cc, opts)
}

// Guards: `ownQuery(path)`.
func TestANestedResolverReadsAQueryOfItsOwn(t *testing.T) {
	story(t, "subpool:///registry://node:1/h%3Fkey=a%20b%26c%3Fd&wait=1s?size=3", func(t *testing.T, c client) {
		require.NoError(t, c.call())
		require.Equal(t, 3, c.Open())
	})
}

func TestTheFirstEscapedQuestionMarkBeginsTheNestedQuery(t *testing.T) {
	for _, tt := range []struct{ target, inner, query, authority string }{
		{"subpool:///registry:///h%3Fkey=k?size=4", "registry:///h", "key=k", "h"},
		{"subpool:///registry:///h%3fkey=k%26l%23m&n=%3F", "registry:///h", "key=k%26l%23m&n=%3F", "h"},
		{"subpool:///registry:///h%2Fi%3F?size=4", "registry:///h/i", "", "h%2Fi"},
		{"subpool:///registry:///a%253Fb%3Fkey=k", "registry:///a%3Fb", "key=k", "a%253Fb"},
		// gRPC's own resolvers read none: it is part of a name.
		{"subpool:///passthrough:///h%3Fkey=k", "passthrough:///h?key=k", "", "h%3Fkey=k"},
		{"subpool:///unix:///run/h%3Fkey=k", "unix:///run/h?key=k", "", "localhost"},
	} {
		t.Run(tt.target, func(t *testing.T) {
			target, err := resolver.Parse(tt.target)
			require.NoError(t, err)
			require.Len(t, target.Inner, 1)
			assert.Equal(t, tt.inner, target.Inner[0].String())
			assert.Equal(t, tt.query, target.Inner[0].URL.RawQuery)
			assert.Equal(t, tt.authority, authorityOf(t, tt.target))
			assert.Equal(t, tt.target, target.String())
		})
	}
}
