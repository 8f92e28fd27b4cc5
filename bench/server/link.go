package server

import (
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// A Link is what each connection is led through, in both directions.
type Link struct {
	Delay  time.Duration // of every byte
	Rate   int           // bytes in a second
	Buffer int           // bytes that may wait for their turn; a writer that has more is held up
	Shared bool          // all connections have one link, instead of one each
}

// Turns say when a byte has its turn, in both directions.
type turns struct{ in, out turn }

// A turn is when all that waits in one direction has been sent.
type turn struct {
	mu   sync.Mutex
	free time.Time
}

func (k Link) fit(c net.Conn, t *turns) net.Conn {
	l := &linkConn{Conn: c, in: newLine(k, &t.in), out: newLine(k, &t.out)}
	go l.pump()
	go l.deliver()
	return l
}

// A linkConn is the server's end of a link.
type linkConn struct {
	net.Conn
	in, out *line
	rest    []byte // of a packet that was read in part
	close   sync.Once
}

// pump takes what the client has sent.
func (c *linkConn) pump() {
	buffer := make([]byte, 32<<10)
	for {
		n, err := c.Conn.Read(buffer)
		if !c.in.send(buffer[:n]) || err != nil {
			c.in.end()
			return
		}
	}
}

// deliver hands to the client what has crossed the link.
func (c *linkConn) deliver() {
	for {
		p, ok := c.out.receive()
		if !ok {
			return
		}
		if _, err := c.Conn.Write(p); err != nil {
			c.out.end()
			return
		}
	}
}

func (c *linkConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		packet, ok := c.in.receive()
		if !ok {
			return 0, io.EOF
		}
		c.rest = packet
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *linkConn) Write(p []byte) (int, error) {
	for chunk := range slices.Chunk(p, 4<<10) { // no packet blocks another for long
		if !c.out.send(chunk) {
			return 0, io.ErrClosedPipe
		}
	}
	return len(p), nil
}

func (c *linkConn) Close() (err error) {
	c.close.Do(func() {
		c.in.end()
		c.out.end()
		err = c.Conn.Close()
	})
	return err
}

// A line is one direction of a link. Its sender is one goroutine at a time.
type line struct {
	link  Link
	turn  *turn
	queue chan packet
	done  chan struct{}
	once  sync.Once
}

type packet struct {
	data    []byte
	arrives time.Time
}

// newLine returns a line whose queue holds all that the buffer and the delay can, in
// packets of 1 KiB and more; smaller ones may hold their sender up.
func newLine(k Link, t *turn) *line {
	inFlight := k.Buffer + int(k.Delay.Seconds()*float64(k.Rate))
	return &line{link: k, turn: t, queue: make(chan packet, 64+inFlight>>10), done: make(chan struct{})}
}

// send puts p on the line, as soon as the buffer has room; false if the line has ended.
func (l *line) send(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	sent := l.turn.after(time.Duration(len(p)) * time.Second / time.Duration(l.link.Rate))
	full := time.Duration(l.link.Buffer) * time.Second / time.Duration(l.link.Rate)
	if !l.wait(sent.Add(-full)) {
		return false
	}
	select {
	case l.queue <- packet{slices.Clone(p), sent.Add(l.link.Delay)}:
		return true
	case <-l.done:
		return false
	}
}

// after takes the next turn, of that length, and tells its end.
func (t *turn) after(d time.Duration) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); t.free.Before(now) {
		t.free = now
	}
	t.free = t.free.Add(d)
	return t.free
}

// receive returns the next packet when it has arrived.
func (l *line) receive() ([]byte, bool) {
	select {
	case p := <-l.queue:
		return p.data, l.wait(p.arrives)
	case <-l.done:
		return nil, false
	}
}

// wait returns at that time, with false if the line has ended before.
func (l *line) wait(until time.Time) bool {
	select { // where the time has come, too, an ended line takes and gives nothing
	case <-l.done:
		return false
	default:
	}
	d := time.Until(until)
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.done:
		return false
	}
}

func (l *line) end() { l.once.Do(func() { close(l.done) }) }
