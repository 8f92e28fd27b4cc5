package worlds

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A stage is where a world is played once: its servers while they run.
type stage struct {
	world    *World
	first    int     // of the servers that are dealt in turn
	events   []Event // those of the world, a little earlier or later
	backends []*backend
	running  sync.WaitGroup

	mu    sync.Mutex
	luck  *rand.Rand
	dials int
	calls bool        // the callers have begun
	rush  int         // dials since then in a window, at most
	late  []time.Time // of the dials in the last window
	made  int         // connections
	open  int         // connections that serve
	most  int         // of those at a time
	all   []*conn
}

// A backend is a server while it runs.
type backend struct {
	*stage
	habits Server

	// Under the mutex of the stage:
	conns   []*conn // oldest first, those that serve
	limited *int    // by SetLimit
	state   What    // Refuse, Hang, Flap
	until   time.Time
	rpcs    int
	watches int
}

func newStage(w *World, draw uint64) *stage {
	s := &stage{world: w, first: int(draw), luck: rand.New(rand.NewPCG(w.Seed, draw))}
	for _, habits := range w.Servers {
		s.backends = append(s.backends, &backend{stage: s, habits: habits})
	}
	// What would be decided by a millisecond is to be chance, and comes out in other draws.
	for _, e := range w.Events {
		if draw > 0 {
			e.At, e.For = s.jitter(e.At, 0.02), s.jitter(e.For, 0.1)
		}
		s.events = append(s.events, e)
	}
	return s
}

var errRefused = errors.New("worlds: connection refused")

// dial is the client's dialer. Of a server that has no address of its own the L4 balancer
// decides which it is.
func (s *stage) dial(ctx context.Context, addr string) (net.Conn, error) {
	b := s.deal(addr)
	if err := sleep(ctx, s.world.Dial); err != nil {
		return nil, err
	}
	s.mu.Lock()
	trouble, rest := b.state, time.Until(b.until)
	s.mu.Unlock()
	if rest > 0 {
		switch trouble {
		case Refuse:
			return nil, errRefused
		case Hang:
			if err := sleep(ctx, rest); err != nil {
				return nil, err
			}
		}
	}
	client, server := connect(s.world.Latency)
	if trouble == Flap && rest > 0 {
		_, _ = server.Write(settings(-1))
		time.AfterFunc(10*time.Millisecond, func() { _ = server.Close() })
		return client, nil
	}
	c := &conn{b: b, end: server, streams: make(map[uint32]*stream), limit: -1}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.conns, s.all = append(b.conns, c), append(s.all, c)
	s.made++
	s.open++
	s.most = max(s.most, s.open)
	s.running.Go(c.serve)
	return client, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (s *stage) deal(addr string) *backend {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials++
	s.rushLocked()
	if s.world.Apart {
		n, _ := strconv.Atoi(addr[len("server-"):])
		return s.backends[n]
	}
	first := s.first + s.dials
	if s.world.Random {
		first = s.luck.IntN(len(s.backends))
	}
	for i := range s.backends {
		b := s.backends[(first+i)%len(s.backends)]
		if down := b.state == Refuse && time.Now().Before(b.until); !down || !s.world.Skips {
			return b
		}
	}
	return s.backends[first%len(s.backends)]
}

// rushLocked counts the dials of the last window.
func (s *stage) rushLocked() {
	if !s.calls {
		return
	}
	s.late = append(slices.DeleteFunc(s.late, func(at time.Time) bool { return time.Since(at) > window }), time.Now())
	s.rush = max(s.rush, len(s.late))
}

func (s *stage) roundTrip() time.Duration { return s.world.roundTrip() }

// jitter is d, more or less by a share drawn from the world's chance.
func (s *stage) jitter(d time.Duration, share float64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(float64(d) * (1 + share*(2*s.luck.Float64()-1)))
}

// leaves says that a connection serves no more.
func (b *backend) leaves(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.conns, c); i >= 0 {
		b.conns = slices.Delete(b.conns, i, i+1)
		b.open--
	}
}

func (b *backend) counts(takes uint32) {
	if takes == forever {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rpcs++
}

// mute reports whether one more health check stays without an answer.
func (b *backend) mute() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watches++
	return b.habits.Mute > 0 && b.watches > b.habits.Mute
}

// limit is what the server states first on a connection, -1 if that is none.
func (b *backend) limit() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limited != nil {
		return *b.limited
	}
	return cmp.Or(b.habits.Limit.Streams, -1)
}

// stop ends what is left, and waits until all of it is gone.
func (s *stage) stop() {
	s.mu.Lock()
	all := slices.Clone(s.all)
	s.mu.Unlock()
	for _, c := range all {
		c.close()
	}
	s.running.Wait()
}

func (b *backend) present() []*conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.conns)
}
