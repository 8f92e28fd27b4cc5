package path

import (
	"io"
	"math/rand/v2"
	"time"
)

// mtu is as large as a packet may be.
const mtu = 1500

// A carrier takes packets along a line.
type carrier struct {
	Line
	from io.Reader // a packet each
	to   io.Writer
	free time.Time // when all that waits has been sent
	ways chan packet
	used chan []byte // what the packets were in that have arrived
}

type packet struct {
	data    []byte
	arrives time.Time
}

func newCarrier(l Line, from io.Reader, to io.Writer) *carrier {
	const most = 1 << 14 // packets: more than a line has room for
	return &carrier{Line: l, from: from, to: to, ways: make(chan packet, most), used: make(chan []byte, most)}
}

// run goes on until one of the ends is closed.
func (c *carrier) run() {
	go c.deliver()
	defer close(c.ways)
	for {
		buffer := c.buffer()
		n, err := c.from.Read(buffer)
		if err != nil {
			return
		}
		if p, ok := c.send(buffer[:n], time.Now()); ok {
			c.ways <- p
		} else {
			c.used <- buffer
		}
	}
}

// send puts a packet on the line, if it is not to be lost.
func (c *carrier) send(data []byte, now time.Time) (packet, bool) {
	if rand.Float64() < c.Loss {
		return packet{}, false
	}
	if c.free.Before(now) {
		c.free = now
	}
	waiting := c.free.Sub(now).Seconds() * float64(c.Rate)
	if int(waiting)+len(data) > c.Buffer {
		return packet{}, false
	}
	c.free = c.free.Add(time.Duration(len(data)) * time.Second / time.Duration(c.Rate))
	return packet{data, c.free.Add(c.Delay)}, true
}

func (c *carrier) deliver() {
	for p := range c.ways {
		time.Sleep(time.Until(p.arrives))
		_, _ = c.to.Write(p.data) // an end that is closed takes nothing
		c.used <- p.data
	}
}

// buffer is room for a packet.
func (c *carrier) buffer() []byte {
	select {
	case b := <-c.used:
		return b[:mtu]
	default:
		return make([]byte, mtu)
	}
}
