package wire

import (
	"context"
	"net"
	"syscall"

	"google.golang.org/grpc/credentials"
)

// Credentials returns creds that fit a wire to each connection whose address has
// a Sensor. All else is as creds have it.
func Credentials(creds credentials.TransportCredentials) credentials.TransportCredentials {
	if creds == nil || isFitting(creds) {
		return creds
	}
	return fit(creds, nil)
}

// fit returns creds that fit a wire by this sensor, or by the address's if it is nil.
func fit(creds credentials.TransportCredentials, s *Sensor) credentials.TransportCredentials {
	f := fitting{creds, s}
	if x, ok := creds.(xds); ok {
		return fittingXDS{f, x}
	}
	return f
}

func isFitting(creds credentials.TransportCredentials) bool {
	_, ok := creds.(interface{ sensorOf(context.Context) *Sensor })
	return ok
}

type fitting struct {
	credentials.TransportCredentials
	sensor *Sensor
}

// xds is how gRPC finds out that a control plane may say how to secure connections.
type xds interface{ UsesXDS() bool }

type fittingXDS struct {
	fitting
	xds
}

func (f fitting) sensorOf(ctx context.Context) *Sensor {
	if f.sensor != nil {
		return f.sensor
	}
	s, _ := credentials.ClientHandshakeInfoFromContext(ctx).Attributes.Value(sensorKey{}).(*Sensor)
	return s
}

// ClientHandshake implements credentials.TransportCredentials.
func (f fitting) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := f.TransportCredentials.ClientHandshake(ctx, authority, raw)
	s := f.sensorOf(ctx)
	if err != nil || s == nil {
		return conn, info, err
	}
	w := newWire(conn, raw, s.changed)
	s.wire.Store(w)
	return w.withAbilities(), info, nil
}

// Clone implements credentials.TransportCredentials.
func (f fitting) Clone() credentials.TransportCredentials {
	return fit(f.TransportCredentials.Clone(), f.sensor)
}

// withAbilities returns w with the optional methods that gRPC would find on the
// connection within: SyscallConn for channelz, ReadOnReady to read without a buffer
// of its own. Each may be there without the other.
func (w *Wire) withAbilities() net.Conn {
	sys, isSys := w.Conn.(syscall.Conn)
	ready := readyReaderOf(w.Conn)
	switch {
	case isSys && ready != nil:
		return &readySysWire{readyWire{w, ready}, sys}
	case ready != nil:
		return &readyWire{w, ready}
	case isSys:
		return &sysWire{w, sys}
	}
	return w
}

type sysWire struct {
	*Wire
	syscall.Conn
}

type readySysWire struct {
	readyWire
	syscall.Conn
}
