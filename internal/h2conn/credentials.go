package h2conn

import (
	"context"
	"net"
	"syscall"

	"google.golang.org/grpc/credentials"
)

// Credentials returns creds that wrap each connection whose address has an Observer. All
// else is as creds have it.
func Credentials(creds credentials.TransportCredentials) credentials.TransportCredentials {
	if creds == nil || isWrapping(creds) {
		return creds
	}
	return wrap(creds, nil)
}

// wrap returns creds that wrap connections for o, or if it is nil for the address's Observer.
func wrap(creds credentials.TransportCredentials, o *Observer) credentials.TransportCredentials {
	w := wrapping{creds, o}
	if x, ok := creds.(xds); ok {
		return wrappingXDS{w, x}
	}
	return w
}

func isWrapping(creds credentials.TransportCredentials) bool {
	_, ok := creds.(interface {
		observerOf(ctx context.Context) *Observer
	})
	return ok
}

type wrapping struct {
	credentials.TransportCredentials
	observer *Observer
}

// xds is how gRPC finds out that a control plane may say how to secure connections.
type xds interface{ UsesXDS() bool }

type wrappingXDS struct {
	wrapping
	xds
}

func (w wrapping) observerOf(ctx context.Context) *Observer {
	if w.observer != nil {
		return w.observer
	}
	o, _ := credentials.ClientHandshakeInfoFromContext(ctx).Attributes.Value(observerKey{}).(*Observer)
	return o
}

// ClientHandshake implements credentials.TransportCredentials.
func (w wrapping) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := w.TransportCredentials.ClientHandshake(ctx, authority, raw)
	o := w.observerOf(ctx)
	if err != nil || o == nil {
		return conn, info, err
	}
	c := newConn(conn, raw, o.changed)
	o.conn.Store(c)
	return c.withOptionalMethods(), info, nil
}

// Clone implements credentials.TransportCredentials.
func (w wrapping) Clone() credentials.TransportCredentials {
	return wrap(w.TransportCredentials.Clone(), w.observer)
}

// withOptionalMethods returns c with the optional methods that gRPC would find on the
// connection within: SyscallConn for channelz, ReadOnReady to read without a buffer
// of its own. Each may be there without the other.
func (c *Conn) withOptionalMethods() net.Conn {
	sys, isSys := c.Conn.(syscall.Conn)
	ready := readyReaderOf(c.Conn)
	switch {
	case isSys && ready != nil:
		return &readySysConn{readyConn{c, ready}, sys}
	case ready != nil:
		return &readyConn{c, ready}
	case isSys:
		type syscallConn = syscall.Conn // embedded as such it would be a second Conn
		return struct {
			*Conn
			syscallConn
		}{c, sys}
	}
	return c
}

type readySysConn struct {
	readyConn
	syscall.Conn
}
