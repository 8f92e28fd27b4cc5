package resolver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	_ "google.golang.org/grpc" // registers its own schemes
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/settings"
)

// A Target is what a target of the scheme says:
//
//	subpool:///host:port?size=8            resolved by DNS
//	subpool:///a:443,b:443?size=8          a list, each resolved by DNS
//	subpool:///unix:///run/svc.sock        any other registered scheme
//	subpool:///etcd:///svc%3Fkey=k?size=8  with a query of its own
//	subpool://8.8.8.8/host:port            by this DNS server
type Target struct {
	Settings config.Config
	Given    []string          // names of the settings that were given, sorted
	Inner    []resolver.Target // of the hosts; several only in a list

	dns, path, query string // as they were written, the settings sorted
}

// Parse reads a target of the scheme. An error names the target and what is
// wrong with it.
func Parse(target string) (Target, error) {
	u, err := url.Parse(target)
	if err != nil {
		return Target{}, targetError(target, "%v", errors.Unwrap(err))
	}
	if u.Scheme != Scheme {
		return Target{}, targetError(target, "must begin with %s:///", Scheme)
	}
	return parse(*u)
}

// parse never panics: the target that gRPC gives it may come from outside.
func parse(u url.URL) (t Target, err error) {
	whole := u.String()
	if u.User != nil {
		return Target{}, targetError(whole, "must not name a user")
	}
	t.dns = strings.TrimPrefix((&url.URL{Host: u.Host}).String(), "//")
	t.path = strings.TrimPrefix(asWritten(u), "/")
	if _, err := url.PathUnescape(u.Opaque); err != nil { // which url.Parse did not look at
		return Target{}, targetError(whole, "%v", err)
	}
	switch {
	case u.Fragment != "":
		return Target{}, targetError(whole, "must not have a fragment (#%.64s)", u.Fragment)
	case t.path == "" && u.Host != "":
		return Target{}, targetError(whole, "names no host; did you mean %s:///%.64s?", Scheme, u.Host)
	case t.path == "":
		return Target{}, targetError(whole, "names no host")
	}
	if t.Inner, err = innerTargets(t.dns, t.path); err != nil {
		return Target{}, targetError(whole, "%v", err)
	}
	if t.Settings, t.Given, err = settings.ParseQuery(u.RawQuery); err != nil {
		return Target{}, targetError(whole, "%v", err)
	}
	t.query = u.Query().Encode()
	return t, nil
}

// asWritten is the path before anything was unescaped: what it nests is parsed, and
// unescaped, for itself.
func asWritten(u url.URL) string {
	switch {
	case u.Opaque != "": // subpool:host:port
		return u.Opaque
	case u.RawPath != "":
		return u.RawPath
	}
	return u.EscapedPath()
}

// targetError names the target, and bounds what it repeats of it. What stands before
// an @ may be a password.
func targetError(target, format string, args ...any) error {
	const most = 200
	target = settings.HideUserinfo(target)
	if len(target) > most {
		target = target[:most] + "…"
	}
	why := strings.TrimPrefix(fmt.Sprintf(format, args...), "subpool: ")
	return fmt.Errorf("subpool: target %q: %s", target, why)
}

// innerTargets splits a path into what it nests, or the hosts that it lists.
func innerTargets(authority, path string) ([]resolver.Target, error) {
	before, _, nests := strings.Cut(path, "://")
	if nests && strings.ContainsAny(before, ",/") {
		return nil, errors.New("a list names hosts, and no targets")
	}
	if nests || strings.HasPrefix(path, "unix:") || strings.HasPrefix(path, "unix-abstract:") {
		if authority != "" {
			return nil, fmt.Errorf("%q must go into the target that is nested", authority)
		}
		inner, err := innerTarget(ownQuery(path))
		return []resolver.Target{inner}, err
	}
	var all []resolver.Target
	for host := range strings.SplitSeq(path, ",") {
		inner, err := innerTarget("dns://" + authority + "/" + host)
		if err != nil {
			return nil, err
		}
		all = append(all, inner)
	}
	return all, nil
}

// ownQuery unescapes the question mark that begins the query of a nested target. The
// resolvers of gRPC read no query: in their targets it is part of a name.
func ownQuery(nested string) string {
	switch scheme, _, _ := strings.Cut(nested, ":"); strings.ToLower(scheme) {
	case dnsScheme, "passthrough", "unix", "unix-abstract":
		return nested
	}
	before, query, found := strings.Cut(nested, "%3F")
	if b, q, lower := strings.Cut(nested, "%3f"); lower && len(b) < len(before) {
		before, query, found = b, q, true
	}
	if !found {
		return nested
	}
	return before + "?" + query
}

func innerTarget(s string) (resolver.Target, error) {
	u, err := url.Parse(s)
	if err != nil {
		return resolver.Target{}, errors.Unwrap(err)
	}
	t := resolver.Target{URL: *u}
	switch {
	case u.Scheme == Scheme:
		return resolver.Target{}, fmt.Errorf("must not nest %s in itself", Scheme)
	case resolver.Get(u.Scheme) == nil:
		return resolver.Target{}, fmt.Errorf("no resolver is registered for %q; missing import?", u.Scheme)
	case strings.HasPrefix(u.Scheme, "unix") && t.Endpoint() == "":
		return resolver.Target{}, fmt.Errorf("%q names no socket", s)
	case u.Scheme != dnsScheme:
		return t, nil
	}
	if u.Host != "" {
		if err := checkHost(u.Host); err != nil {
			return resolver.Target{}, fmt.Errorf("name server: %w", err)
		}
	}
	return t, checkHost(t.Endpoint())
}

// checkHost reports what DNS or dialling would find out late, or never.
func checkHost(hostport string) error {
	if strings.Contains(hostport, ",") {
		return fmt.Errorf("host %q: a list is written %s:///a,b", short(hostport), Scheme)
	}
	if hostport == "" || strings.ContainsFunc(hostport, neverInHost) {
		return fmt.Errorf("host %q: must be a name or an address, with or without a port", short(hostport))
	}
	if isIPv6(hostport) || !strings.Contains(hostport, ":") && hostport[0] != '[' {
		return nil
	}
	if strings.HasSuffix(hostport, "]") { // as [::1] without a port
		hostport += ":443"
	}
	host, port, err := net.SplitHostPort(hostport)
	if err != nil || strings.ContainsAny(hostport, "[]") != isIPv6(host) || strings.Contains(host, "%") && !isIPv6(host) {
		return fmt.Errorf("host %q: must be host or host:port, with an IPv6 address in brackets", short(hostport))
	}
	isNumber := strings.Trim(port, "0123456789") == ""
	if n, _ := strconv.Atoi(port); isNumber && (n < 1 || n > 65535) || !isNumber && !isServiceName(port) {
		return fmt.Errorf("port %q: must be 1 to 65535", short(port))
	}
	if !isNumber && resolver.Get(strings.ToLower(host)) != nil {
		return fmt.Errorf("host %q: is a scheme; did you mean %s:///%s:///%s?", host, Scheme, host, short(port))
	}
	return nil
}

func neverInHost(r rune) bool {
	return r <= ' ' || r == 0x7f || r == utf8.RuneError || strings.ContainsRune("\"#,/<>?@\\^`{|}", r)
}

func isIPv6(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Is6()
}

// isServiceName reports that a port is a name like https (RFC 6335, 5.1).
func isServiceName(port string) bool {
	return len(port) <= 15 && strings.ContainsFunc(port, isLetter) &&
		!strings.ContainsFunc(port, func(r rune) bool { return !isLetter(r) && r != '-' && (r < '0' || r > '9') })
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

func short(s string) string { return fmt.Sprintf("%.64s", s) }

// String writes the target in one form, which [Parse] reads back to an equal one.
func (t Target) String() string {
	query := ""
	if t.query != "" {
		query = "?" + t.query
	}
	return Scheme + "://" + t.dns + "/" + t.path + query
}

// authority is what `:authority` says, and the name that TLS verifies, for a
// channel without grpc.WithAuthority or a name in its credentials: what gRPC would
// take for the first inner target, but an IPv6 address is always in brackets.
func (t Target) authority() string {
	inner := t.Inner[0]
	if o, ok := resolver.Get(inner.URL.Scheme).(resolver.AuthorityOverrider); ok {
		return o.OverrideAuthority(inner)
	}
	return authorityOf(inner.Endpoint())
}

// authorityOf is gRPC's default, but for IPv6: localhost where the host is left out, and
// escaped as RFC 3986, 3.2 asks.
func authorityOf(endpoint string) string {
	if isIPv6(endpoint) {
		endpoint = "[" + endpoint + "]"
	} else if strings.HasPrefix(endpoint, ":") {
		endpoint = "localhost" + endpoint
	}
	var escaped strings.Builder
	for _, c := range []byte(endpoint) {
		if isLetter(rune(c)) || '0' <= c && c <= '9' || strings.IndexByte("-_.~!$&'()*+,;=:[]@", c) >= 0 {
			escaped.WriteByte(c)
		} else {
			fmt.Fprintf(&escaped, "%%%02X", c)
		}
	}
	return escaped.String()
}
