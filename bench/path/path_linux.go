package path

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Path has a client's end and a server's.
type Path struct{ client, server *end }

// An end is a namespace, and what the other end's packets come out of there.
type end struct {
	*namespace
	device *os.File
}

// New makes a path. Its stacks learn nothing from one connection for the next.
func New(l Line) (*Path, error) {
	client, err := newEnd(clientHost, ServerHost)
	if err != nil {
		return nil, err
	}
	server, err := newEnd(ServerHost, clientHost)
	if err != nil {
		return nil, errors.Join(err, client.close())
	}
	go newCarrier(l, client.device, server.device).run()
	go newCarrier(l, server.device, client.device).run()
	return &Path{client, server}, nil
}

func newEnd(addr, peer string) (*end, error) {
	e := new(end)
	var err error
	e.namespace, err = newNamespace(func() (err error) {
		if e.device, err = openTUN(net.ParseIP(addr), net.ParseIP(peer)); err != nil {
			return err
		}
		return os.WriteFile("/proc/sys/net/ipv4/tcp_no_metrics_save", []byte("1"), 0)
	})
	if err != nil {
		if e.device != nil {
			_ = e.device.Close()
		}
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return e, nil
}

func (e *end) close() error { return errors.Join(e.device.Close(), e.namespace.close()) }

// Dial connects from the client's end.
func (p *Path) Dial(ctx context.Context, addr string) (conn net.Conn, err error) {
	err = p.client.do(func() (err error) {
		conn, err = (&net.Dialer{KeepAlive: -1, Control: UseCubic}).DialContext(ctx, "tcp", addr)
		return err
	})
	return conn, err
}

// UseCubic makes a socket, and those that a listening one accepts, use Linux' default congestion
// control, for that of this machine may be another. It is for net.Dialer and net.ListenConfig.
func UseCubic(_, _ string, c syscall.RawConn) (err error) {
	controlErr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic")
	})
	return errors.Join(controlErr, os.NewSyscallError("setsockopt", err))
}

// AtServer calls f, in which sockets, and processes that are started, are at the server's end.
func (p *Path) AtServer(f func() error) error { return p.server.do(f) }

// Close ends it. What is under way is lost.
func (p *Path) Close() error { return errors.Join(p.client.close(), p.server.close()) }
