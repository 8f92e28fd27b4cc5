package contender

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/grpc"
)

// sharing counts references: it hands out its connections in turn to as many callers
// as come, doubles them when there are more callers than Streams for each, and goes
// back to Min when there are none.
type sharing struct {
	settings Settings

	mu   sync.Mutex
	all  []*channel
	refs int
	turn int
}

func openSharing(s Settings) (Pool, error) {
	if s.Streams == 0 {
		s.Streams = 100
	}
	p := &sharing{settings: s}
	if err := p.growTo(s.Min); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	for _, c := range p.all {
		if err := awaitReady(c.ClientConn); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return getPutPool{p}, nil
}

// growTo opens what is missing to n, but at most Max; a channel connects by itself.
func (p *sharing) growTo(n int) error {
	for len(p.all) < min(n, p.settings.Max) {
		cc, err := dial(p.settings)
		if err != nil {
			return err
		}
		p.all = append(p.all, &channel{ClientConn: cc})
	}
	return nil
}

func (p *sharing) get(context.Context) (*channel, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refs >= len(p.all)*p.settings.Streams {
		if err := p.growTo(2 * len(p.all)); err != nil {
			return nil, err
		}
	}
	p.turn = (p.turn + 1) % len(p.all)
	c := p.all[p.turn]
	c.refs++
	p.refs++
	return c, nil
}

func (p *sharing) put(c *channel) {
	var surplus []*grpc.ClientConn
	p.mu.Lock()
	c.refs--
	if p.refs--; p.refs == 0 && len(p.all) > p.settings.Min {
		for _, c := range p.all[p.settings.Min:] {
			surplus = append(surplus, c.ClientConn)
		}
		p.all = p.all[:p.settings.Min]
	}
	p.mu.Unlock()
	_ = closeAll(surplus, nil)
}

func (p *sharing) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.all {
		_ = c.ClientConn.Close()
	}
	return nil
}
