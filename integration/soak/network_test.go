package soak

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// A backend is one server and the network before it.
type backend struct {
	*harness.Server
	addr string

	way   sync.Mutex // held while something is wrong with new connections
	limit sync.Mutex // held while there is a stream limit

	mu     sync.Mutex
	links  []*link       // dialled, or being dialled, and not closed; oldest first
	delay  time.Duration // of new connections
	broken string        // what kills new connections, or ""
	limits []span        // when the server had a stream limit
}

// A span is from when until when something was so. The end is zero while it is.
type span struct{ from, to time.Time }

// touches reports whether the span and the time from one instant to another meet.
func (s span) touches(from, to time.Time) bool {
	return !s.from.After(to) && (s.to.IsZero() || !s.to.Before(from))
}

// begin notes in spans that something begins; end is called when it is over.
func begin(mu *sync.Mutex, spans *[]span) (end func()) {
	mu.Lock()
	defer mu.Unlock()
	i := len(*spans)
	*spans = append(*spans, span{from: time.Now()})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		(*spans)[i].to = time.Now()
	}
}

// A link is one connection of a channel to a backend, as the network has it.
type link struct {
	net.Conn
	number int
	from   *channel
	to     *backend
	born   time.Time
	dark   atomic.Int32  // a harness.Darkness
	served atomic.Bool   // an RPC succeeded there
	over   chan struct{} // reset, or closed by gRPC
	ending sync.Once

	mu      sync.Mutex
	up      bool   // Conn is there
	breaks  []harm // by the test
	darkAt  time.Time
	told    bool // by GOAWAY, to go
	closing sync.Once
}

// A harm is what broke a link, or may have: of one that is new that is not known.
type harm struct {
	at  time.Time
	why string
}

var lastLink atomic.Int64

// dial is the way of a channel to b.
func (b *backend) dial(ctx context.Context, from *channel) (net.Conn, error) {
	l := &link{number: int(lastLink.Add(1)), from: from, to: b, born: time.Now(), over: make(chan struct{})}
	b.mu.Lock()
	b.links = append(b.links, l)
	delay, broken := b.delay, b.broken
	b.mu.Unlock()
	if broken != "" {
		l.blame(broken)
	}
	select {
	case <-ctx.Done():
		b.forget(l)
		return nil, ctx.Err()
	case <-time.After(delay):
	}
	conn, err := b.Dial(ctx, b.addr)
	if err != nil {
		b.forget(l)
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if over(l.over) {
		b.forget(l)
		_ = conn.Close()
		return nil, errors.New("soak: reset while it was made")
	}
	l.Conn, l.up = conn, true
	return l, nil
}

func (b *backend) forget(l *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.links = slices.DeleteFunc(b.links, func(o *link) bool { return o == l })
}

// all returns the links that are there, oldest first, those that are being dialled
// included.
func (b *backend) all() []*link {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.links)
}

// blame makes the test the cause of what happens on l from now on.
func (l *link) blame(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.breaks = append(l.breaks, harm{time.Now(), why})
}

// cut resets l.
func (l *link) cut(why string) {
	l.blame(why)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
	if l.up {
		_ = l.Conn.Close()
	}
}

func (l *link) end() { l.ending.Do(func() { close(l.over) }) }

// darken makes l swallow what it is given, or take no more of it.
func (l *link) darken(how harness.Darkness) {
	l.mu.Lock()
	l.darkAt = time.Now()
	l.mu.Unlock()
	l.dark.Store(int32(how))
}

// intact reports whether the test did nothing to l that ends it.
func (l *link) intact() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.breaks) == 0 && l.darkAt.IsZero() && !l.told
}

func (l *link) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if l.dark.Load() == 0 {
		return n, err
	}
	<-l.over
	return 0, net.ErrClosed
}

func (l *link) Write(p []byte) (int, error) {
	switch harness.Darkness(l.dark.Load()) {
	case harness.Swallow:
		return len(p), nil
	case harness.Stall:
		<-l.over
		return 0, net.ErrClosed
	}
	return l.Conn.Write(p)
}

// Close is called by gRPC, or by h2conn.
func (l *link) Close() error {
	l.end()
	l.closing.Do(func() {
		l.to.forget(l)
		if l.intact() {
			l.from.retired(l)
		}
	})
	return l.Conn.Close() // the server is told even if l was dark: connections should not pile up
}

// Deadlines are not kept: gRPC sets some of seconds when it closes a connection, also
// one that is closed already, and the timer would hold the memory of one in memory.

func (l *link) SetDeadline(time.Time) error      { return nil }
func (l *link) SetReadDeadline(time.Time) error  { return nil }
func (l *link) SetWriteDeadline(time.Time) error { return nil }

func (l *link) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := fmt.Sprintf("link %d to %s, born %s", l.number, l.to.addr, clock(l.born))
	if !l.darkAt.IsZero() {
		s += ", dark " + clock(l.darkAt)
	}
	for _, h := range l.breaks {
		s += fmt.Sprintf(", broken %s (%s)", clock(h.at), h.why)
	}
	if l.told {
		s += ", told to go away"
	}
	return s
}

// started is when the process began, by which all times are told.
var started = time.Now()

func clock(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return fmt.Sprintf("%.3fs", at.Sub(started).Seconds())
}
