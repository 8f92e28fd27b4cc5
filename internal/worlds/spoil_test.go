package worlds

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// losing loses one RPC in so many, as no pool may.
func losing(oneIn int) grpc.UnaryClientInterceptor {
	var n atomic.Int64
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if n.Add(1)%int64(oneIn) == 0 {
			return status.Error(codes.Unavailable, "worlds: lost on purpose")
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	}
}

// slowing holds one RPC in so many up.
func slowing(oneIn int, d time.Duration) grpc.UnaryClientInterceptor {
	var n atomic.Int64
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if n.Add(1)%int64(oneIn) == 0 {
			time.Sleep(d)
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	}
}

// leaveGoroutine starts a goroutine that does not end.
func leaveGoroutine(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	go func() { <-make(chan struct{}) }()
	return invoke(ctx, method, req, reply, cc, opts...)
}
