package worlds

import (
	"bufio"
	"encoding/binary"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
)

// A conn is one connection as its server has it.
type conn struct {
	b   *backend
	end *end

	mu        sync.Mutex
	streams   map[uint32]*stream
	highest   uint32 // stream that came
	took      int
	answered  int
	watches   int   // that were answered
	limit     int   // that is enforced, once the client has acknowledged it; -1 is none
	unproven  []int // limits that are not acknowledged yet
	stated    bool
	announced bool // it has sent a GOAWAY that refuses none
	over      bool // streams above last are refused
	last      uint32
	used      time.Time
	closed    bool
}

// A stream is an RPC whose order may not be complete.
type stream struct {
	order []byte
	timer *time.Timer
}

// serve follows the client's frames until the connection ends.
func (c *conn) serve() {
	defer c.close()
	c.greet()
	r := bufio.NewReader(c.end)
	if _, err := io.CopyN(io.Discard, r, int64(len(preface))); err != nil {
		return
	}
	for {
		f, err := readFrame(r)
		if err != nil {
			return
		}
		c.take(f)
	}
}

func (c *conn) greet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used = time.Now()
	if c.b.habits.Limit.Late || c.b.limit() < 0 {
		c.stateLocked(-1)
	} else {
		c.stateLimitLocked()
	}
	c.write(wide())
	if age := c.b.habits.Age; age > 0 {
		c.after(c.b.jitter(age, 0.1), func() { c.endBy(c.b.habits.Ending) })
	}
	if idle := c.b.habits.Idle; idle > 0 {
		c.after(idle, c.checkIdle)
	}
}

func (c *conn) checkIdle() {
	idle := c.b.habits.Idle
	c.mu.Lock()
	rest := idle - time.Since(c.used)
	if len(c.streams) > 0 {
		rest = idle
	}
	c.mu.Unlock()
	if rest <= 0 {
		c.endBy(c.b.habits.Ending)
	} else {
		c.after(rest, c.checkIdle)
	}
}

// stateLimitLocked says the limit, and what becomes of it.
func (c *conn) stateLimitLocked() {
	c.stated = true
	l := c.b.habits.Limit
	c.stateLocked(c.b.limit())
	if l.Then == 0 {
		return
	}
	c.after(l.After, func() { c.state(max(0, l.Then)) })
	if l.Back > 0 {
		c.after(l.After+l.Back, func() { c.state(l.Streams) })
	}
}

func (c *conn) state(limit int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stateLocked(limit)
}

func (c *conn) stateLocked(limit int) {
	c.unproven = append(c.unproven, limit)
	c.write(settings(limit))
}

// after does something later, unless the connection is closed by then.
func (c *conn) after(d time.Duration, do func()) {
	time.AfterFunc(max(d, time.Microsecond), func() {
		c.mu.Lock()
		closed := c.closed
		c.mu.Unlock()
		if !closed {
			do()
		}
	})
}

func (c *conn) take(f incoming) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case f.kind == kindSettings && f.flags&flagAck == 0:
		c.write(frame(kindSettings, flagAck, 0, nil))
	case f.kind == kindSettings && len(c.unproven) > 0:
		if c.unproven[0] >= 0 {
			c.limit = c.unproven[0]
		}
		c.unproven = c.unproven[1:]
	case f.kind == kindPing && f.flags&flagAck == 0:
		c.write(frame(kindPing, flagAck, 0, f.payload))
	case f.kind == kindHeaders:
		c.beginLocked(f.stream)
	case f.kind == kindData:
		c.orderLocked(f.stream, f.payload)
	case f.kind == kindReset:
		c.forgetLocked(f.stream)
	}
}

func (c *conn) beginLocked(id uint32) {
	if c.over && id > c.last || c.closed {
		return // it was refused by the GOAWAY
	}
	c.highest, c.used = max(c.highest, id), time.Now()
	if c.announced && c.b.habits.RefusesLate || c.limit >= 0 && len(c.streams) >= c.limit {
		c.write(reset(id, refusedStream))
		return
	}
	c.streams[id] = new(stream)
	if l := c.b.habits.Limit; l.Late && l.Streams > 0 && !c.stated {
		c.stateLimitLocked()
	}
	if c.took++; c.took == c.b.habits.Cap {
		c.finalLocked(id, noError, "")
	}
}

// An order is the message of an RPC: how long the server is to take, in microseconds, and
// what to answer.
const (
	orderSize = 5
	forever   = 1<<32 - 1
)

func (c *conn) orderLocked(id uint32, payload []byte) {
	s := c.streams[id]
	if s == nil {
		return
	}
	const whole = messageHead + orderSize
	had := len(s.order)
	if isWatch := had == 0 && len(payload) == messageHead; isWatch && !c.b.mute() {
		c.write(serving(id))
		if c.watches++; c.watches <= c.b.habits.EndsWatch {
			c.after(5*time.Millisecond, func() { c.endWatch(id) })
		}
	}
	if s.order = append(s.order, payload...); had >= whole || len(s.order) < whole {
		return
	}
	takes, code := binary.BigEndian.Uint32(s.order[messageHead:]), codes.Code(s.order[messageHead+4])
	c.b.counts(takes)
	wait := time.Duration(takes)*time.Microsecond + c.b.habits.Slow
	if fails := c.b.habits.Fails; fails != codes.OK {
		wait, code = 0, fails
	}
	switch {
	case takes == forever:
	case wait == 0:
		c.answerLocked(id, code)
	default:
		s.timer = time.AfterFunc(wait, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.streams[id] != nil {
				c.answerLocked(id, code)
			}
		})
	}
}

func (c *conn) answerLocked(id uint32, code codes.Code) {
	c.write(answer(id, code))
	c.used = time.Now()
	c.forgetLocked(id)
	if c.answered++; c.answered == c.b.habits.Few {
		c.hangUpLocked()
	}
}

func (c *conn) endWatch(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write(reset(id, internalError))
	c.forgetLocked(id)
}

// forgetLocked drops a stream that ended, and the connection behind the last one.
func (c *conn) forgetLocked(id uint32) {
	s := c.streams[id]
	if s == nil {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	delete(c.streams, id)
	if c.over && len(c.streams) == 0 {
		c.hangUpLocked()
	}
}

func (c *conn) write(p []byte) {
	if !c.closed {
		_, _ = c.end.Write(p)
	}
}
