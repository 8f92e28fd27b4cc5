package main

import (
	"context"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/reflection"
)

// A service answers UnaryCall with as many bytes as are asked for.
type service struct {
	grpc_testing.UnimplementedTestServiceServer
	takes time.Duration
	turns chan struct{} // RPCs that it serves at a time; nil is any number
}

func (s *service) UnaryCall(ctx context.Context, r *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	if s.turns != nil {
		select {
		case s.turns <- struct{}{}:
			defer func() { <-s.turns }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.takes > 0 {
		time.Sleep(s.takes)
	}
	return &grpc_testing.SimpleResponse{Payload: &grpc_testing.Payload{Body: make([]byte, r.GetResponseSize())}}, nil
}

// serve starts a server, and returns its address.
func serve(s *service, options ...grpc.ServerOption) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := grpc.NewServer(options...)
	grpc_testing.RegisterTestServiceServer(server, s)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), nil
}

// A carry leads bytes one way, until there are no more.
type carry func(to io.Writer, from io.Reader)

// proxy leads each connection to the next backend, and returns its address.
func proxy(c carry, backends ...string) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for i := 0; ; i++ {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", backends[i%len(backends)])
			if err != nil {
				client.Close()
				continue
			}
			lead := func(to, from net.Conn) {
				c(to, from)
				to.Close()
				from.Close()
			}
			go lead(server, client)
			go lead(client, server)
		}
	}()
	return listener.Addr().String(), nil
}

func atOnce(to io.Writer, from io.Reader) { _, _ = io.Copy(to, from) }

// catchUp is for how long a link may make good what a busy machine made it miss.
const catchUp = 50 * time.Millisecond

// slowly carries so many bytes in a second, and delays each.
func slowly(rate float64, delay time.Duration) carry {
	type packet struct {
		data    []byte
		arrives time.Time
	}
	return func(to io.Writer, from io.Reader) {
		wire := make(chan packet, int(delay.Seconds()*rate/4096)+8)
		go func() {
			defer close(wire)
			for free := time.Now(); ; {
				data := make([]byte, 4096)
				n, err := from.Read(data)
				if err != nil {
					return
				}
				if now := time.Now(); now.Sub(free) > catchUp {
					free = now
				}
				free = free.Add(time.Duration(float64(n) / rate * float64(time.Second)))
				time.Sleep(time.Until(free))
				wire <- packet{data[:n], time.Now().Add(delay)}
			}
		}()
		for p := range wire {
			time.Sleep(time.Until(p.arrives))
			if _, err := to.Write(p.data); err != nil {
				for range wire { // whoever reads must not be left waiting
				}
				return
			}
		}
	}
}
