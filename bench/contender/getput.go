package contender

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// A getPut is a pool of the kind that hands out a connection and takes it back. As a
// Pool it does so around each RPC; with those pools the callers do.
type getPut interface {
	get(ctx context.Context) (*channel, error)
	put(c *channel)
	Close() error
}

type channel struct {
	*grpc.ClientConn
	refs int
}

type getPutPool struct{ getPut }

func (p getPutPool) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	c, err := p.get(ctx)
	if err != nil {
		return err
	}
	defer p.put(c)
	return c.Invoke(ctx, method, args, reply, opts...)
}

func (p getPutPool) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	c, err := p.get(ctx)
	if err != nil {
		return nil, err
	}
	stream, err := c.NewStream(ctx, desc, method, opts...)
	if err != nil {
		p.put(c)
		return nil, err
	}
	return &lentStream{ClientStream: stream, put: sync.OnceFunc(func() { p.put(c) })}, nil
}

// A lentStream gives its connection back when it has ended.
type lentStream struct {
	grpc.ClientStream
	put func()
}

func (s *lentStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err != nil {
		s.put()
	}
	return err
}

// lending lends a connection to one caller at a time, and opens one more for a caller
// that finds none free, up to Max.
type lending struct {
	settings Settings
	free     chan *channel

	mu  sync.Mutex
	all []*grpc.ClientConn
}

func openLending(s Settings) (Pool, error) {
	p := &lending{settings: s, free: make(chan *channel, s.Max)}
	for range s.Min {
		c, err := p.open()
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.free <- c
	}
	return getPutPool{p}, nil
}

// open returns nil if there are Max.
func (p *lending) open() (*channel, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) == p.settings.Max {
		return nil, nil
	}
	cc, err := dialReady(p.settings)
	if err != nil {
		return nil, err
	}
	p.all = append(p.all, cc)
	return &channel{ClientConn: cc}, nil
}

func (p *lending) get(ctx context.Context) (*channel, error) {
	select {
	case c := <-p.free:
		return c, nil
	default:
	}
	if c, err := p.open(); c != nil || err != nil {
		return c, err
	}
	select {
	case c := <-p.free:
		return c, nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

func (p *lending) put(c *channel) { p.free <- c }

func (p *lending) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return closeAll(p.all, nil)
}
