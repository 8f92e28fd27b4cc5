package servers

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/soheilhy/cmux"
	"github.com/stretchr/testify/assert"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"
)

// cmux answers a client's preface with SETTINGS that state no limit. The server behind it is
// given the connection with its first RPC, and only then states its own.
var muxed = []scenario{
	{
		part: "grpc-go behind cmux", habit: "MaxConcurrentStreams 5", limit: 5,
		start: behindCmux(50*time.Millisecond, grpc.MaxConcurrentStreams(5)),
		load:  load{interval: time.Second / 150, rpcs: 600},
	},
	{
		part: "grpc-go behind cmux", habit: "MaxConnectionAge 1 s", ends: true,
		start: behindCmux(0, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: time.Second})),
		load:  load{interval: time.Second / 300, rpcs: 1500},
	},
	{
		part: "grpc-go behind cmux", habit: "GracefulStop and a successor, three times", ends: true, disturbed: 3,
		start: behindCmux(5 * time.Millisecond),
		load:  load{interval: time.Second / 300, rpcs: 1500},
	},
}

func behindCmux(answer time.Duration, opts ...grpc.ServerOption) func(*testing.T) server {
	return func(t *testing.T) server {
		return succeed(t, server{version: runtime.Version()}, func(l net.Listener) (stop func()) {
			mux := cmux.New(l)
			ofGRPC := mux.MatchWithWriters(cmux.HTTP2MatchHeaderFieldSendSettings("content-type", "application/grpc"))
			s := grpc.NewServer(opts...)
			grpc_testing.RegisterTestServiceServer(s, emptyService{takes: answer})
			go func() { assert.NoError(t, s.Serve(ofGRPC)) }()
			go func() { _ = mux.Serve() }() // ends with an error when the listener does
			return s.GracefulStop
		})
	}
}
