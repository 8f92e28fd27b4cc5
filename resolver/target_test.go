package resolver_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "google.golang.org/grpc" // registers its own schemes
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/resolver"
)

// How a target is read: the inner targets, what is said on the wire, and the one
// form of all ways to write it.
func TestATargetNamesItsHosts(t *testing.T) {
	for _, tt := range []struct {
		target    string
		inner     []string // scheme://authority/endpoint
		authority string
		canonical string // if not the target itself
	}{
		{"subpool:///dns:///svc:443", []string{"dns:///svc:443"}, "svc:443", ""},
		{"subpool:///svc:443", []string{"dns:///svc:443"}, "svc:443", ""},
		{"subpool:svc:443?size=2", []string{"dns:///svc:443"}, "svc:443", "subpool:///svc:443?size=2"},
		{"subpool:/svc", []string{"dns:///svc"}, "svc", "subpool:///svc"},
		{"SUBPOOL:///svc?", []string{"dns:///svc"}, "svc", "subpool:///svc"},
		{"subpool:///:443", []string{"dns:///:443"}, "localhost:443", ""},
		{"subpool:///svc:https", []string{"dns:///svc:https"}, "svc:https", ""},
		{"subpool:///[::1]:443", []string{"dns:///[::1]:443"}, "[::1]:443", ""},
		{"subpool:///[::1]", []string{"dns:///[::1]"}, "[::1]", ""},
		{"subpool:///::1", []string{"dns:///::1"}, "[::1]", ""},
		{"subpool:///[fe80::1%25eth0]:443", []string{"dns:///[fe80::1%eth0]:443"}, "[fe80::1%25eth0]:443", ""},
		{"subpool:///sv%63:443", []string{"dns:///svc:443"}, "svc:443", ""},
		{"subpool:///bücher.example:443", []string{"dns:///bücher.example:443"}, "b%C3%BCcher.example:443", ""},
		{"subpool://8.8.8.8/svc:443", []string{"dns://8.8.8.8/svc:443"}, "svc:443", ""},
		{"subpool:///a:443,b", []string{"dns:///a:443", "dns:///b"}, "a:443", ""},
		{"subpool://[2001:db8::1]:53/a,b?size=2", []string{"dns://[2001:db8::1]:53/a", "dns://[2001:db8::1]:53/b"}, "a", ""},
		{"subpool:///:443,b", []string{"dns:///:443", "dns:///b"}, "localhost:443", ""},
		{"subpool:///unix:///run/svc.sock", []string{"unix:///run/svc.sock"}, "localhost", ""},
		{"subpool:///unix:svc.sock", []string{"unix:///svc.sock"}, "localhost", ""},
		{"subpool:///unix-abstract:svc%3Fx", []string{"unix-abstract:///svc%3Fx"}, "localhost", ""},
		{"subpool:///passthrough:///10.0.0.1:443/?size=2&picker=round_robin", []string{"passthrough:///10.0.0.1:443/"}, "10.0.0.1:443%2F",
			"subpool:///passthrough:///10.0.0.1:443/?picker=round_robin&size=2"},
		{"subpool://[fe80::1%25eth0]:53/a", []string{"dns://[fe80::1%eth0]:53/a"}, "a", ""},
		{"subpool:///unix:a b%20c", []string{"unix:///a b%20c"}, "localhost", ""}, // gRPC unescapes no unix:path
		{"subpool:///unix:///a b%20c", []string{"unix:///a b c"}, "localhost", ""},
		{"subpool:///passthrough:///a%3Fb%23c", []string{"passthrough:///a?b#c"}, "a%3Fb%23c", ""},
		{"subpool:///passthrough://key@user/a", []string{"passthrough://user/a"}, "a", ""},
	} {
		t.Run(tt.target, func(t *testing.T) {
			target, err := resolver.Parse(tt.target)
			require.NoError(t, err)
			var inner []string
			for _, i := range target.Inner {
				inner = append(inner, i.String())
			}
			assert.Equal(t, tt.inner, inner)
			if tt.canonical == "" {
				tt.canonical = tt.target
			}
			assert.Equal(t, tt.canonical, target.String())
			assert.Equal(t, tt.authority, authorityOf(t, tt.target))
		})
	}
}

// authorityOf is what gRPC is told for a target.
func authorityOf(t testing.TB, target string) string {
	u, err := url.Parse(target)
	require.NoError(t, err)
	return resolver.NewBuilder().(grpcresolver.AuthorityOverrider).OverrideAuthority(grpcresolver.Target{URL: *u})
}

func TestALongTargetIsCutShortInErrors(t *testing.T) {
	_, err := resolver.Parse("subpool:///" + strings.Repeat("x/", 1<<19))
	require.Less(t, len(err.Error()), 500)
	_, err = resolver.Parse("subpool:///svc?" + strings.Repeat("x", 1<<20))
	require.Less(t, len(err.Error()), 700)
}

func TestAnotherSchemeIsNoTarget(t *testing.T) {
	_, err := resolver.Parse("dns:///svc:443")
	require.EqualError(t, err, `subpool: target "dns:///svc:443": must begin with subpool:///`)
	_, err = resolver.Parse("subpool:///%zz")
	require.EqualError(t, err, `subpool: target "subpool:///%zz": invalid URL escape "%zz"`)
}

// Whatever goes in: no panic, and what is accepted prints back to an equal target.
// A bad target has an authority too, which gRPC puts on the wire.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"subpool:///svc:443?size=8", "subpool:///dns:///svc:443?minSize=0&maxSize=9", "subpool://8.8.8.8/a:1,b,[::1]:2",
		"subpool:///unix:///run/x?picker=p%26q", "subpool:unix:a%2Fb", "subpool:///passthrough:///%25%3F%23", "subpool:////a//b://c",
		"subpool:///[fe80::1%25eth0]:443", "subpool:///passthrough://k:v@h:1/a b?idleTimeout=1h", "subpool:///a\x00b", "subpool:///unix-abstract:?lifetimeJitter=1e-1", "subpool:///registry:///ı%3f%3F?size=2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := url.Parse(s); err == nil {
			authority := authorityOf(t, u.String())
			require.NotContains(t, authority, "/")
			require.NotContains(t, authority, "\n")
		}
		target, err := resolver.Parse(s)
		if err != nil {
			return
		}
		again, err := resolver.Parse(target.String())
		require.NoError(t, err)
		require.Equal(t, target.Settings, again.Settings)
		require.Equal(t, target.Given, again.Given)
		require.Equal(t, urls(target), urls(again))
		require.Equal(t, target.String(), again.String())
	})
}

// urls are all that a resolver can see of the inner targets.
func urls(t resolver.Target) (all []string) {
	for _, i := range t.Inner {
		u := i.URL
		all = append(all, u.Scheme, u.User.String(), u.Host, u.Path, u.Opaque, i.Endpoint())
	}
	return all
}
