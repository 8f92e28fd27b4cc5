package h2conn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"
)

// sockets is a pair of connected sockets, the first of them wrapped.
func sockets(t testing.TB) (w net.Conn, other net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	other, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(); _ = other.Close() })
	return newConn(c, c, func() {}).withOptionalMethods(), other
}

func TestASocketKeepsItsOptionalMethods(t *testing.T) {
	w, _ := sockets(t)
	_, isSys := w.(syscall.Conn)
	require.True(t, isSys)
	_, isReady := w.(readyReader)
	require.Equal(t, runtime.GOOS == "linux", isReady)
	raw, _ := net.Pipe()
	_, isSys = newConn(raw, raw, func() {}).withOptionalMethods().(syscall.Conn)
	require.False(t, isSys, "and gets no more")
	alts := newConn(readyOnly{raw}, raw, func() {}).withOptionalMethods()
	_, isSys = alts.(syscall.Conn)
	require.False(t, isSys)
	_, isReady = alts.(readyReader)
	require.True(t, isReady)
}

// readyOnly is a connection as ALTS makes them.
type readyOnly struct{ net.Conn }

func (readyOnly) ReadOnReady(int, mem.BufferPool) (*[]byte, int, error) { return nil, 0, io.EOF }

// fixed is a pool that counts.
type fixed struct{ taken, given int }

func (p *fixed) Get(n int) *[]byte { p.taken++; b := make([]byte, n); return &b }
func (p *fixed) Put(*[]byte)       { p.given++ }

func readyOf(t testing.TB, w net.Conn) readyReader {
	r, ok := w.(readyReader)
	if !ok {
		t.Skip("gRPC reads like this on Linux only")
	}
	return r
}

func TestAReadKeepsABufferOnlyForWhatCame(t *testing.T) {
	w, other := sockets(t)
	r, pool := readyOf(t, w), new(fixed)

	require.NoError(t, w.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	_, _, err := r.ReadOnReady(100, pool)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Equal(t, pool.taken, pool.given)

	require.NoError(t, w.SetReadDeadline(time.Time{}))
	hundred := frame(4, 0, setting(3, 100)...)
	_, err = other.Write(hundred)
	require.NoError(t, err)
	buf, n, err := r.ReadOnReady(100, pool)
	require.NoError(t, err)
	require.Equal(t, hundred, (*buf)[:n])
	require.Equal(t, pool.taken-1, pool.given, "the caller gives it back")
	require.Equal(t, 100, streams(w.(*readySysConn).readyConn.Conn))

	require.NoError(t, other.Close())
	_, _, err = r.ReadOnReady(100, pool)
	require.Equal(t, io.EOF, err)
	require.Equal(t, pool.taken-1, pool.given)
}

func TestAForceCloseEndsAReadThatWaits(t *testing.T) {
	for _, ready := range []bool{false, true} {
		w, _ := sockets(t)
		ended := make(chan error)
		go func() {
			if r, ok := w.(readyReader); ok && ready {
				_, _, err := r.ReadOnReady(100, new(fixed))
				ended <- err
				return
			}
			_, err := w.Read(make([]byte, 100))
			ended <- err
		}()
		time.Sleep(10 * time.Millisecond) // so that it waits; it ends the same if it does not yet
		w.(interface{ ForceClose(cause string) }).ForceClose("late")
		err := <-ended
		require.ErrorIs(t, err, net.ErrClosed)
		require.EqualError(t, err, "late")
	}
}

// The same bytes through the reader that a fuzz over memory never comes to.
func FuzzReadOnReady(f *testing.F) {
	f.Add([]byte{}, uint8(1))
	f.Add(join(frame(4, 0, join(setting(3, 5), []byte{0, 3, 0})...), frame(4, 0, setting(3, 7)...)), uint8(7))
	f.Fuzz(func(t *testing.T, sent []byte, piece uint8) {
		w, other := sockets(t)
		r, pool := readyOf(t, w), new(fixed)
		go func() {
			_, _ = other.Write(sent)
			_ = other.Close()
		}()
		var got []byte
		for {
			buf, n, err := r.ReadOnReady(int(piece)+1, pool)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			got = append(got, (*buf)[:n]...)
			pool.Put(buf)
		}
		require.True(t, bytes.Equal(sent, got))
		require.Equal(t, limitOf(sent), streams(w.(*readySysConn).readyConn.Conn))
		require.Equal(t, pool.taken, pool.given)
	})
}

// What a Conn costs: nanoseconds for each read, against the connection alone.
func BenchmarkRead(b *testing.B) {
	chunk := frame(0, 0, make([]byte, 1000)...)
	for _, wrapped := range []bool{false, true} {
		b.Run(fmt.Sprintf("wrapped=%v", wrapped), func(b *testing.B) {
			var c net.Conn = endless(chunk)
			if wrapped {
				c = newConn(c, c, func() {})
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(chunk)))
			p := make([]byte, len(chunk))
			for b.Loop() {
				_, _ = c.Read(p)
			}
		})
	}
}

// endless is a connection that gives the same bytes for ever.
type endless []byte

func (e endless) Read(p []byte) (int, error)     { return copy(p, e), nil }
func (endless) Write(p []byte) (int, error)      { return len(p), nil }
func (endless) Close() error                     { return nil }
func (endless) LocalAddr() net.Addr              { return nil }
func (endless) RemoteAddr() net.Addr             { return nil }
func (endless) SetDeadline(time.Time) error      { return nil }
func (endless) SetReadDeadline(time.Time) error  { return nil }
func (endless) SetWriteDeadline(time.Time) error { return nil }
