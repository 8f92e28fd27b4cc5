// Package server is what the contenders talk to: gRPC's interop service in a process
// of its own, with a link that may be slow, and connections that may go dark.
package server

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/bench/path"
)

// Options say how a server behaves.
type Options struct {
	Streams uint32        // that it allows on a connection, 0 for no limit
	Handler time.Duration // that an EmptyCall takes
	AtATime int           // EmptyCalls that it serves at a time, 0 for no limit
	Link    Link          // between the clients and it
	Darkens bool          // connections can go dark
	Path    bool          // it is at the server's end of a path
}

type service struct {
	grpc_testing.UnimplementedTestServiceServer
	handler time.Duration
	turns   chan struct{} // nil for no limit
}

// EmptyCall is the small unary RPC of all workloads.
func (s *service) EmptyCall(ctx context.Context, _ *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	if s.turns != nil {
		select {
		case s.turns <- struct{}{}:
			defer func() { <-s.turns }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.handler > 0 {
		time.Sleep(s.handler)
	}
	return &grpc_testing.Empty{}, nil
}

// UnaryCall answers with as many bytes as it is asked for.
func (s *service) UnaryCall(_ context.Context, req *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return &grpc_testing.SimpleResponse{Payload: &grpc_testing.Payload{Body: make([]byte, req.GetResponseSize())}}, nil
}

// FullDuplexCall says at once that it runs, and answers each message.
func (s *service) FullDuplexCall(stream grpc.BidiStreamingServer[grpc_testing.StreamingOutputCallRequest, grpc_testing.StreamingOutputCallResponse]) error {
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	for {
		if _, err := stream.Recv(); err != nil {
			return nil //nolint:nilerr // the client has ended it, or is gone
		}
		if err := stream.Send(&grpc_testing.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
}

// StreamingOutputCall sends messages like the first that is asked for, until the
// client goes.
func (s *service) StreamingOutputCall(req *grpc_testing.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[grpc_testing.StreamingOutputCallResponse]) error {
	like := req.GetResponseParameters()[0]
	msg := &grpc_testing.StreamingOutputCallResponse{Payload: &grpc_testing.Payload{Body: make([]byte, like.GetSize())}}
	every := time.Duration(like.GetIntervalUs()) * time.Microsecond
	for next := time.Now(); ; {
		if err := stream.Send(msg); err != nil {
			return err
		}
		if every > 0 {
			next = next.Add(every)
			time.Sleep(time.Until(next)) // one that fell behind catches up
		}
	}
}

func (o Options) listen() (net.Listener, error) {
	if !o.Path {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return (&net.ListenConfig{Control: path.UseCubic}).Listen(context.Background(), "tcp", net.JoinHostPort(path.ServerHost, "0"))
}

// Role is that of the server's process. Commands are "usage" and "darken".
func Role(options []byte, in *bufio.Scanner, out *json.Encoder) error {
	var o Options
	if err := json.Unmarshal(options, &o); err != nil {
		return err
	}
	inner, err := o.listen()
	if err != nil {
		return err
	}
	l := &listener{Listener: inner, options: o}
	var opts []grpc.ServerOption
	if o.Streams > 0 {
		opts = append(opts, grpc.MaxConcurrentStreams(o.Streams))
	}
	s, impl := grpc.NewServer(opts...), &service{handler: o.Handler}
	if o.AtATime > 0 {
		impl.turns = make(chan struct{}, o.AtATime)
	}
	grpc_testing.RegisterTestServiceServer(s, impl)
	go func() { _ = s.Serve(l) }()
	defer s.Stop()
	if err := out.Encode(inner.Addr().String()); err != nil {
		return err
	}
	for in.Scan() {
		if in.Text() == "darken" {
			l.darkenOne()
		}
		if err := out.Encode(Usage{CPU: CPU(), Accepted: int(l.accepted.Load())}); err != nil {
			return err
		}
	}
	return in.Err()
}
