package harness

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/test/bufconn"
)

// A SilentServer speaks just enough HTTP/2 that gRPC calls a connection to it READY,
// and sends no byte beyond but the answers that it is asked to give: unlike a server
// of gRPC, which always has something to say.
type SilentServer struct {
	Answers func(rpc int) bool // to the RPC of this number, from 1; nil is never
	Refuse  atomic.Bool        // new connections

	// Takes is how many RPCs it takes on a connection; with the last it says that it
	// goes away, and refuses what comes behind, as nginx does. 0 is any number.
	Takes atomic.Int32
	Delay time.Duration // that it takes to look at each RPC

	Unequal atomic.Bool           // each connection takes between 0.6 and 1.4 times as many
	Ends    atomic.Int32          // the first connections, that many, end at an RPC and refuse it
	Greets  atomic.Pointer[int32] // the last stream of a GOAWAY with which it greets and closes

	listener *bufconn.Listener
	serving  sync.WaitGroup
	last     atomic.Pointer[net.Conn]
	dials    atomic.Int32
	rpcs     atomic.Int32
	refused  atomic.Int32
	accepted atomic.Int32
}

// Start serves until the test ends.
func (s *SilentServer) Start(t testing.TB) {
	s.listener = bufconn.Listen(1 << 16)
	s.serving.Go(func() {
		for {
			c, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.serving.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = s.listener.Close()
		s.serving.Wait()
	})
}

// Dials is how often a client asked for a connection.
func (s *SilentServer) Dials() int { return int(s.dials.Load()) }

// Refused is how many RPCs came on a connection after the last that was taken there.
func (s *SilentServer) Refused() int { return int(s.refused.Load()) }

// Dial is a dialer for grpc.WithContextDialer.
func (s *SilentServer) Dial(ctx context.Context, _ string) (net.Conn, error) {
	s.dials.Add(1)
	if s.Refuse.Load() {
		return nil, errors.New("harness: connection refused")
	}
	return dialMemory(ctx, s.listener)
}

// Allow tells the client, on the last connection, how many streams it may open.
func (s *SilentServer) Allow(streams uint32) {
	_, _ = (*s.last.Load()).Write(frame(4, 0, 0, binary.BigEndian.AppendUint32([]byte{0, 3}, streams)))
}

// serve reads frames (RFC 9113, 4.1) and answers some of the RPCs that begin.
func (s *SilentServer) serve(c net.Conn) {
	defer c.Close()
	s.last.Store(&c)
	settings := frame(4, 0, 0, nil)
	if _, err := c.Write(settings); err != nil {
		return
	}
	if _, err := io.CopyN(io.Discard, c, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	if last := s.Greets.Load(); last != nil {
		_, _ = c.Write(goAway(uint32(*last)))
		time.Sleep(time.Millisecond) // a client that dials without end is to be found out
		return
	}
	conn := s.accepted.Add(1)
	var head [9]byte
	for took := int32(0); ; {
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, c, length); err != nil {
			return
		}
		if isHeaders := head[3] == 1; !isHeaders {
			continue
		}
		time.Sleep(s.Delay)
		stream, most := binary.BigEndian.Uint32(head[5:]), s.takes(conn)
		if took++; took > most {
			if s.refused.Add(1); most == 0 && took == 1 {
				_, _ = c.Write(goAway(0))
			}
			continue
		}
		if took == most {
			_, _ = c.Write(goAway(stream))
		}
		if n := s.rpcs.Add(1); s.Answers != nil && s.Answers(int(n)) {
			_, _ = c.Write(answer(stream))
		}
	}
}

// takes is how many RPCs it takes on this connection.
func (s *SilentServer) takes(conn int32) int32 {
	most := s.Takes.Load()
	switch {
	case conn <= s.Ends.Load():
		return 0
	case most == 0:
		return math.MaxInt32
	case s.Unequal.Load():
		return most * (6 + conn%9) / 10
	}
	return most
}

// Hangup closes the last connection.
func (s *SilentServer) Hangup() { _ = (*s.last.Load()).Close() }

// goAway refuses what comes after the last stream (RFC 9113, 6.8).
func goAway(last uint32) []byte {
	return frame(7, 0, 0, append(binary.BigEndian.AppendUint32(nil, last), 0, 0, 0, 0))
}

// answer is an RPC's whole answer: headers, an empty message, trailers.
func answer(stream uint32) []byte {
	literal := func(name, value string) []byte { // RFC 7541, 6.2.2
		return append(append([]byte{0, byte(len(name))}, name...), append([]byte{byte(len(value))}, value...)...)
	}
	const endHeaders, endStream, status200 = 4, 1, 0x88
	all := frame(1, endHeaders, stream, append([]byte{status200}, literal("content-type", "application/grpc")...))
	all = append(all, frame(0, 0, stream, make([]byte, 5))...)
	return append(all, frame(1, endHeaders|endStream, stream, literal("grpc-status", "0"))...)
}

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	head := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	return append(binary.BigEndian.AppendUint32(head, stream), payload...)
}
