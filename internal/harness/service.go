package harness

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"
)

// SetHealth makes connection conn say that it serves, or not, to those that watch.
// Until then it serves. One that is not open says nothing.
func (s *Server) SetHealth(conn int, serving bool) {
	h := s.healthOf(conn)
	if h == nil {
		return
	}
	h.Shutdown() // NOT_SERVING
	if serving {
		h.Resume()
	}
}

// Watch implements the health service, for each connection on its own.
func (s *Server) Watch(req *grpc_health_v1.HealthCheckRequest, stream grpc_health_v1.Health_WatchServer) error {
	p, _ := peer.FromContext(stream.Context())
	h := s.healthOf(Number(p.Addr))
	if h == nil {
		return stream.Context().Err()
	}
	return h.Watch(req, stream)
}

// Check implements the health service.
func (s *Server) Check(ctx context.Context, req *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	p, _ := peer.FromContext(ctx)
	if h := s.healthOf(Number(p.Addr)); h != nil {
		return h.Check(ctx, req)
	}
	return nil, ctx.Err()
}

func (s *Server) healthOf(n int) *health.Server {
	return locked(s, func() *health.Server {
		if c := s.open[n]; c != nil {
			return c.health
		}
		return nil
	})
}

// EmptyCall counts the call and has Options.Handle answer it.
func (s *Server) EmptyCall(ctx context.Context, _ *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	p, _ := peer.FromContext(ctx)
	conn := Number(p.Addr)
	locked(s, func() bool { s.calls[conn]++; return true })
	if s.opts.Handle != nil {
		if err := s.opts.Handle(ctx, conn); err != nil {
			return nil, err
		}
	}
	return &grpc_testing.Empty{}, nil
}

// FullDuplexCall notes the connection and leaves the rest to the interop service.
func (s *Server) FullDuplexCall(stream grpc_testing.TestService_FullDuplexCallServer) error {
	p, _ := peer.FromContext(stream.Context())
	locked(s, func() bool { s.streams[Number(p.Addr)] = true; return true })
	return s.TestServiceServer.FullDuplexCall(stream)
}

// StreamingInputCall does not answer a client that sent nothing until it is gone.
// Interop's cancel_after_begin is such a client: it cancels, closes and expects
// CANCELLED, but gRPC hands it an answer that came before it looked.
func (s *Server) StreamingInputCall(stream grpc_testing.TestService_StreamingInputCallServer) error {
	return s.TestServiceServer.StreamingInputCall(&patientStream{TestService_StreamingInputCallServer: stream})
}

type patientStream struct {
	grpc_testing.TestService_StreamingInputCallServer
	received bool
}

func (p *patientStream) Recv() (*grpc_testing.StreamingInputCallRequest, error) {
	req, err := p.TestService_StreamingInputCallServer.Recv()
	if errors.Is(err, io.EOF) && !p.received {
		<-p.Context().Done()
	}
	p.received = p.received || err == nil
	return req, err
}
