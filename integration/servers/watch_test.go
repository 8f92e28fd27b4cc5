package servers

import (
	"context"
	"net"
	"sync"

	"google.golang.org/grpc/stats"
)

// A watch counts what a client's connections and the attempts at its RPCs go through.
type watch struct{ *client }

// An attempt is one at an RPC. gRPC never tells two things of it at the same time.
type attempt struct {
	repeats bool
	conn    net.Addr // the client's; nil before it has a stream
}

type attemptKey struct{}

func (watch) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, attemptKey{}, new(attempt))
}

func (w watch) HandleRPC(ctx context.Context, event stats.RPCStats) {
	a := ctx.Value(attemptKey{}).(*attempt)
	switch event := event.(type) {
	case *stats.Begin:
		if event.IsTransparentRetryAttempt {
			a.repeats = true
			w.repeated.Add(1)
		}
	case *stats.OutHeader:
		a.conn = event.LocalAddr
		w.streams.count(a.conn, 1)
	case *stats.End:
		if a.conn != nil {
			w.streams.count(a.conn, -1)
		}
		if a.repeats && event.Error != nil {
			w.lost.Add(1)
		}
	}
}

func (watch) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (w watch) HandleConn(_ context.Context, event stats.ConnStats) {
	if _, ok := event.(*stats.ConnBegin); ok {
		w.conns.Add(1)
	}
}

// streams are those that are open, of all connections and of each.
type streams struct {
	mu        sync.Mutex
	all       int
	of        map[string]int
	most      int // of all
	mostOfOne int
}

func (s *streams) count(conn net.Addr, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = make(map[string]int)
	}
	s.all += n
	s.of[conn.String()] += n
	s.most = max(s.most, s.all)
	s.mostOfOne = max(s.mostOfOne, s.of[conn.String()])
}
