package h2conn

import (
	"cmp"
	"io"
	"net"
	"syscall"

	"google.golang.org/grpc/mem"
)

// A readyReader takes a buffer only once there is something to read, so that an
// idle connection pins none. gRPC looks for the method, and has it itself only for
// the connections of package net, which a Conn hides.
type readyReader interface {
	ReadOnReady(size int, pool mem.BufferPool) (*[]byte, int, error)
}

type readyConn struct {
	*Conn
	reader readyReader
}

// ReadOnReady is Read with a buffer from pool.
func (c *readyConn) ReadOnReady(size int, pool mem.BufferPool) (*[]byte, int, error) {
	buf, n, err := c.reader.ReadOnReady(size, pool)
	if n > 0 {
		c.observe((*buf)[:n])
	}
	return buf, n, c.explained(err)
}

// readyReaderOf returns how conn is read that way, nil if it cannot be.
func readyReaderOf(conn net.Conn) readyReader {
	if r, ok := conn.(readyReader); ok {
		return r
	}
	// Only these: what has encrypted the connection may show its raw SyscallConn.
	var sys syscall.Conn
	switch c := conn.(type) {
	case *net.TCPConn:
		sys = c
	case *net.UnixConn:
		sys = c
	default:
		return nil
	}
	raw, err := sys.SyscallConn()
	if err != nil || !canReadRaw {
		return nil
	}
	r := &rawReader{raw: raw}
	r.try = r.read
	return r
}

// A rawReader reads a socket of package net. What a call works with is in fields,
// and try is bound once, so that a read allocates nothing.
type rawReader struct {
	raw syscall.RawConn
	try func(fd uintptr) (done bool)

	size int
	pool mem.BufferPool
	buf  *[]byte
	n    int
	err  error
}

func (r *rawReader) read(fd uintptr) (done bool) {
	r.buf = r.pool.Get(r.size)
	r.n, r.err = readRaw(fd, *r.buf)
	if r.err != nil || r.n == 0 {
		r.pool.Put(r.buf)
		r.buf = nil
	}
	return !wouldBlock(r.err)
}

func (r *rawReader) ReadOnReady(size int, pool mem.BufferPool) (*[]byte, int, error) {
	r.size, r.pool, r.buf, r.n, r.err = size, pool, nil, 0, nil
	err := r.raw.Read(r.try)
	buf, n, err := r.buf, r.n, cmp.Or(err, r.err)
	r.pool, r.buf, r.err = nil, nil, nil
	switch {
	case buf != nil && err != nil: // closed meanwhile
		pool.Put(buf)
		return nil, 0, err
	case buf == nil && err == nil: // as read(2) tells the end
		return nil, 0, io.EOF
	}
	return buf, n, err
}
