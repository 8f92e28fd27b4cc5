package h2conn

import "fmt"

// A GoAway is what the server says when it takes no more streams (RFC 9113, 6.8).
type GoAway struct {
	Last  uint32 // the last stream that it takes
	Code  uint32
	Debug string // cut to maxDebug bytes
}

// Graceful reports a GOAWAY that announces another one: the server still takes what is
// on its way.
func (g GoAway) Graceful() bool { return g.Last == 1<<31-1 && g.Code == 0 }

// Streams returns how many of the client's streams, which have odd numbers, the server
// takes.
func (g GoAway) Streams() int { return int((g.Last + 1) / 2) }

// codes are the names of error codes (RFC 9113, 7).
var codes = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
	"STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR",
	"CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

// String is written like gRPC's own text of a GOAWAY.
func (g GoAway) String() string {
	code := fmt.Sprintf("code %d", g.Code)
	if g.Code < uint32(len(codes)) {
		code = codes[g.Code]
	}
	if g.Debug == "" {
		return "GOAWAY, code: " + code
	}
	return fmt.Sprintf("GOAWAY, code: %s, debug data: %q", code, g.Debug)
}
