package contender

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
)

func openPlain(s Settings) (Pool, error) { return dialReady(s) }

// channels are plain ones, taken in turn: what WithGRPCConnectionPool of Google's API
// clients does.
type channels struct {
	ccs  []*grpc.ClientConn
	turn atomic.Uint32
}

func openChannels(s Settings) (Pool, error) {
	p := new(channels)
	for range s.Max {
		cc, err := dial(s)
		if err != nil {
			return nil, closeAll(p.ccs, err)
		}
		p.ccs = append(p.ccs, cc)
	}
	for _, cc := range p.ccs {
		if err := awaitReady(cc); err != nil {
			return nil, closeAll(p.ccs, err)
		}
	}
	return p, nil
}

func (p *channels) next() *grpc.ClientConn {
	return p.ccs[int(p.turn.Add(1)%uint32(len(p.ccs)))]
}

func (p *channels) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return p.next().Invoke(ctx, method, args, reply, opts...)
}

func (p *channels) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return p.next().NewStream(ctx, desc, method, opts...)
}

func (p *channels) Close() error { return closeAll(p.ccs, nil) }
