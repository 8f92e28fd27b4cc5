package worlds

import (
	"encoding/binary"
	"io"
	"strconv"

	"google.golang.org/grpc/codes"
)

// The kinds of frames that matter here (RFC 9113, 6).
const (
	kindData     = 0
	kindHeaders  = 1
	kindReset    = 3
	kindSettings = 4
	kindPing     = 6
	kindGoAway   = 7
	kindWindow   = 8
)

// Error codes (RFC 9113, 7).
const (
	noError              = 0
	internalError        = 2
	refusedStream        = 7
	enhanceYourCalm      = 11
	mostStreams          = 1<<31 - 1 // the last stream of a GOAWAY that refuses none
	flagAck              = 1
	flagEndStream        = 1
	flagEndHeaders       = 4
	frameHead            = 9
	preface              = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	maxConcurrent        = 3
	messageHead          = 5 // of gRPC, before each message
	statusIs200     byte = 0x88
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	head := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	return append(binary.BigEndian.AppendUint32(head, stream), payload...)
}

type incoming struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

func readFrame(r io.Reader) (f incoming, err error) {
	var head [frameHead]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return f, err
	}
	f.kind, f.flags, f.stream = head[3], head[4], binary.BigEndian.Uint32(head[5:])&^(1<<31)
	f.payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err = io.ReadFull(r, f.payload)
	return f, err
}

func goAway(last, code uint32, debug string) []byte {
	payload := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code)
	return frame(kindGoAway, 0, 0, append(payload, debug...))
}

func reset(stream, code uint32) []byte {
	return frame(kindReset, 0, stream, binary.BigEndian.AppendUint32(nil, code))
}

// settings states the limit of streams, or nothing if it is negative.
func settings(limit int) []byte {
	if limit < 0 {
		return frame(kindSettings, 0, 0, nil)
	}
	return frame(kindSettings, 0, 0, binary.BigEndian.AppendUint32([]byte{0, maxConcurrent}, uint32(limit)))
}

// wide lets the client send as much as it likes on the connection.
func wide() []byte { return frame(kindWindow, 0, 0, []byte{0x40, 0, 0, 0}) }

func literal(name, value string) []byte { // RFC 7541, 6.2.2
	return append(append([]byte{0, byte(len(name))}, name...), append([]byte{byte(len(value))}, value...)...)
}

// answer is an RPC's whole answer: headers, an empty message, trailers; or an error.
func answer(stream uint32, code codes.Code) []byte {
	head := append([]byte{statusIs200}, literal("content-type", "application/grpc")...)
	status := literal("grpc-status", strconv.Itoa(int(code)))
	if code != codes.OK {
		return frame(kindHeaders, flagEndHeaders|flagEndStream, stream, append(head, status...))
	}
	all := frame(kindHeaders, flagEndHeaders, stream, head)
	all = append(all, frame(kindData, 0, stream, make([]byte, messageHead))...)
	return append(all, frame(kindHeaders, flagEndHeaders|flagEndStream, stream, status)...)
}

// serving is the first message of a health check's answer.
func serving(stream uint32) []byte {
	head := append([]byte{statusIs200}, literal("content-type", "application/grpc")...)
	message := []byte{0, 0, 0, 0, 2, 8, 1} // HealthCheckResponse{Status: SERVING}
	return append(frame(kindHeaders, flagEndHeaders, stream, head), frame(kindData, 0, stream, message)...)
}
