package h2conn

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// frame is one HTTP/2 frame.
func frame(kind, flags byte, payload ...byte) []byte {
	n := len(payload)
	return append([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags, 0, 0, 0, 0}, payload...)
}

func setting(id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, id), value)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestTheLimitIsWhatTheServerSaidLast(t *testing.T) {
	hundred := frame(4, 0, setting(3, 100)...)
	for _, tt := range []struct {
		name string
		sent []byte
		want int
	}{
		{"nothing", nil, NoLimit},
		{"no settings", frame(4, 0), NoLimit},
		{"another setting", frame(4, 0, join(setting(1, 5), setting(4, 7))...), NoLimit},
		{"the limit", hundred, 100},
		{"among other settings", frame(4, 0, join(setting(1, 5), setting(3, 100), setting(4, 7))...), 100},
		{"twice in a frame", frame(4, 0, join(setting(3, 5), setting(3, 100))...), 100},
		{"a second frame", join(hundred, frame(6, 0, make([]byte, 8)...), frame(4, 0, setting(3, 3)...)), 3},
		{"a second frame with another setting", join(hundred, frame(4, 0, setting(4, 7)...)), 100},
		{"nothing allowed", frame(4, 0, setting(3, 0)...), 0},
		{"the largest", frame(4, 0, setting(3, 1<<32-1)...), NoLimit},
		{"within another frame", frame(0, 0, hundred...), NoLimit},
		{"an acknowledgement", join(hundred, frame(4, 1, setting(3, 3)...)), 100},
		{"not yet whole", hundred[:len(hundred)-1], NoLimit},
		{"a broken frame, and another", join(frame(4, 0, join(setting(3, 9), []byte{0, 3, 0})...), hundred), 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for piece := 1; piece <= len(tt.sent)+1; piece++ {
				c := newConn(nil, nil, func() {})
				for rest := tt.sent; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
					c.observe(rest[:min(piece, len(rest))])
				}
				require.Equal(t, tt.want, streams(c), "in pieces of %d", piece)
				require.EqualValues(t, len(tt.sent), c.Received())
			}
		})
	}
}

// gRPC breaks off a connection with a length that is no multiple of six. The Conn need
// not know that, but it must not lose its place: what comes after is understood.
func TestSettingsOfEveryLengthAreFollowed(t *testing.T) {
	payload := bytes.Repeat(setting(3, 5), 20)[:100]
	for n := range len(payload) + 1 {
		for _, flags := range []byte{0, 1, 2, 255} {
			begun := frame(4, flags, payload[:n]...)
			for _, sent := range [][]byte{begun, join(begun, frame(4, 0, setting(3, 100)...))} {
				for _, piece := range []int{1, 2, 5, 7, 64, len(sent)} {
					c := newConn(nil, nil, func() {})
					for rest := sent; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
						c.observe(rest[:min(piece, len(rest))])
					}
					require.Equal(t, limitOf(sent), streams(c), "%d bytes, flags %d, in pieces of %d", n, flags, piece)
				}
			}
		}
	}
}

func TestAChangeOfTheLimitIsTold(t *testing.T) {
	told := 0
	c := newConn(nil, nil, func() { told++ })
	for _, limit := range []uint32{100, 100, 50, 1 << 31, 1<<32 - 1} {
		c.observe(frame(4, 0, setting(3, limit)...))
	}
	require.Equal(t, 3, told)
}

// goAway is GOAWAY with debug data that looks like another frame.
func goAway(last, code uint32) []byte {
	payload := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code)
	return frame(7, 0, join(payload, frame(4, 0, setting(3, 9)...))...)
}

func TestEachGoAwayIsTold(t *testing.T) {
	const most = 1<<31 - 1
	text := bytes.Repeat([]byte("x"), maxDebug+9)
	debug := func(last, code uint32, text string) []byte {
		payload := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code)
		return frame(7, 0, append(payload, text...)...)
	}
	for _, tt := range []struct {
		name string
		sent []byte
		told []GoAway
	}{
		{"nothing", nil, nil},
		{"without debug data", debug(99, 0, ""), []GoAway{{Last: 99}}},
		{"with the reserved bit", debug(1<<31|99, 0, ""), []GoAway{{Last: 99}}},
		{"with debug data", debug(3, 11, "too_many_pings"), []GoAway{{3, 11, "too_many_pings"}}},
		{"with too much of it", debug(3, 11, string(text)), []GoAway{{3, 11, string(text[:maxDebug])}}},
		{"two", join(debug(most, 0, ""), debug(99, 0, "")), []GoAway{{Last: most}, {Last: 99}}},
		{"frames within debug data", goAway(7, 2), []GoAway{{7, 2, string(frame(4, 0, setting(3, 9)...))}}},
		{"not yet whole", debug(99, 0, "abc")[:9+8+2], nil},
		{"too short, and another", join(frame(7, 0, 0, 0, 0), debug(99, 0, "")), []GoAway{{Last: 99}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for piece := 1; piece <= len(tt.sent)+1; piece++ {
				var told []GoAway
				c := newConn(nil, nil, func() {})
				c.OnGoAway(func(g GoAway) { told = append(told, g) })
				for rest := tt.sent; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
					c.observe(rest[:min(piece, len(rest))])
				}
				require.Equal(t, tt.told, told, "in pieces of %d", piece)
				if len(told) > 0 {
					require.Equal(t, told[len(told)-1], *c.GoAway())
				} else {
					require.Nil(t, c.GoAway())
				}
				require.Equal(t, NoLimit, streams(c))
			}
		})
	}
}

// Guards: `f.answered = max(f.answered` in frames.begin.
func TestWhatTheServerAnsweredIsKnownFromItsHEADERS(t *testing.T) {
	headers := func(stream uint32) []byte {
		h := frame(1, 4, 0x88)
		binary.BigEndian.PutUint32(h[5:], stream)
		return h
	}
	for _, tt := range []struct {
		name     string
		sent     []byte
		answered int
	}{
		{"nothing", nil, 0},
		{"SETTINGS", frame(4, 0, setting(3, 9)...), 0},
		{"the first stream", headers(1), 1},
		{"with the reserved bit", headers(1<<31 | 3), 2},
		{"streams out of order", join(headers(5), headers(1)), 3},
		{"DATA that looks like HEADERS", frame(0, 0, headers(7)...), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for piece := 1; piece <= len(tt.sent)+1; piece++ {
				c := newConn(nil, nil, func() {})
				for rest := tt.sent; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
					c.observe(rest[:min(piece, len(rest))])
				}
				require.Equal(t, tt.answered, c.AnsweredUpTo(), "in pieces of %d", piece)
			}
		})
	}
}

func TestAGoAwayInWords(t *testing.T) {
	for want, g := range map[string]GoAway{
		"GOAWAY, code: NO_ERROR": {Last: 7},
		`GOAWAY, code: ENHANCE_YOUR_CALM, debug data: "too_many_pings"`: {Code: 11, Debug: "too_many_pings"},
		`GOAWAY, code: code 99, debug data: "\x00"`:                     {Code: 99, Debug: "\x00"},
	} {
		require.Equal(t, want, g.String())
	}
	require.True(t, GoAway{Last: 1<<31 - 1}.Graceful())
	require.False(t, GoAway{Last: 1<<31 - 1, Code: 2}.Graceful())
	require.False(t, GoAway{Last: 99}.Graceful())
	require.Equal(t, 50, GoAway{Last: 99}.Streams())
	require.Equal(t, 0, GoAway{}.Streams())
}

// streams is the limit alone.
func streams(c *Conn) int {
	n, _ := c.Limit()
	return n
}

// Guards: `stated` of Limit. A limit that is stated late is not one that is lowered.
func TestALimitIsStatedOrNot(t *testing.T) {
	c := newConn(nil, nil, func() {})
	c.observe(frame(4, 0))
	_, stated := c.Limit()
	require.False(t, stated)
	c.observe(frame(4, 0, setting(3, 1<<32-1)...))
	limit, stated := c.Limit()
	require.True(t, stated)
	require.Equal(t, NoLimit, limit)
}

// Guards: `c.closed.Store(true)` in ForceClose.
func TestAConnectionThatWasClosedByForceIsClosedThoughCloseIsNotCalled(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	c := newConn(a, a, func() {})
	c.ForceClose("")
	require.True(t, c.Closed())
}

// limitOf reads frames in one go, as RFC 9113 has them: the other way to the same.
func limitOf(all []byte) int {
	limit := NoLimit
	for len(all) >= 9 {
		n := int(all[0])<<16 | int(all[1])<<8 | int(all[2])
		isSettings := all[3] == 4 && all[4]&1 == 0
		payload := all[9:]
		all = payload[min(n, len(payload)):]
		payload = payload[:min(n, len(payload))]
		for ; isSettings && len(payload) >= 6; payload = payload[6:] {
			if binary.BigEndian.Uint16(payload) == 3 {
				limit = int(min(binary.BigEndian.Uint32(payload[2:]), NoLimit))
			}
		}
	}
	return limit
}

// pieces is a connection that gives a few bytes at a time.
type pieces struct {
	net.Conn
	from io.Reader
	most int
}

func (p pieces) Read(b []byte) (int, error) { return p.from.Read(b[:min(len(b), p.most)]) }

// Arbitrary bytes in arbitrary pieces: no panic, nothing kept, the same limit as by
// another parser, and gRPC reads exactly what came.
func FuzzConn(f *testing.F) {
	f.Add([]byte{}, uint8(1))
	f.Add(frame(4, 0, setting(3, 100)...), uint8(4))
	f.Add(join(frame(4, 0, join(setting(3, 5), []byte{0, 3, 0})...), frame(4, 0, setting(3, 7)...)), uint8(7))
	f.Add(bytes.Repeat([]byte{255}, 40), uint8(3))
	f.Fuzz(func(t *testing.T, sent []byte, piece uint8) {
		c := newConn(pieces{from: bytes.NewReader(sent), most: int(piece) + 1}, nil, func() {})
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		require.True(t, bytes.Equal(sent, got))
		require.Equal(t, limitOf(sent), streams(c))
		require.EqualValues(t, len(sent), c.Received())
	})
}
