package h2conn

import (
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/resolver"
)

// Wrap has connections wrapped for o, of the SubConn that is made with opts and the returned
// address. The one option that gRPC has for this is deprecated (grpc-go#3498): credentials of
// a single SubConn. Those that the channel was given by [Credentials] need no option, but
// find o by the address. Where neither is, connections are not wrapped.
func Wrap(o *Observer, opts *balancer.NewSubConnOptions, build balancer.BuildOptions, addr resolver.Address) resolver.Address {
	b := bundle{transport: build.DialCreds}
	if build.CredsBundle != nil { // it comes before DialCreds
		b.perRPC = build.CredsBundle.PerRPCCredentials()
		if t := build.CredsBundle.TransportCredentials(); t != nil {
			b.transport = t
		}
	}
	switch {
	case b.transport == nil:
	case isWrapping(b.transport):
		addr.Attributes = addr.Attributes.WithValue(observerKey{}, o)
	default:
		b.transport = wrap(b.transport, o)
		// It is deprecated, and there is no other way for a policy.
		opts.CredsBundle = b
	}
	return addr
}

// A bundle is the channel's own, but for the transport credentials.
type bundle struct {
	transport credentials.TransportCredentials
	perRPC    credentials.PerRPCCredentials
}

func (b bundle) TransportCredentials() credentials.TransportCredentials { return b.transport }
func (b bundle) PerRPCCredentials() credentials.PerRPCCredentials       { return b.perRPC }

// NewWithMode is not called of a SubConn's bundle.
func (b bundle) NewWithMode(string) (credentials.Bundle, error) { return b, nil }
