package worlds

import "time"

// endBy ends the connection in one of the ways of real servers.
func (c *conn) endBy(g Ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.announced || c.over {
		return
	}
	switch g {
	case Graceful:
		c.warnLocked()
		c.after(c.b.roundTrip()+time.Millisecond, c.final)
	case TwoStep:
		c.warnLocked()
		c.after(100*time.Microsecond, c.final)
	case Final:
		c.finalLocked(c.highest, noError, "")
	case Fin:
		c.hangUpLocked()
	case EnhanceYourCalm:
		c.finalLocked(c.highest, enhanceYourCalm, "calm down")
		c.hangUpLocked()
	case EnterIdle:
		c.finalLocked(0, internalError, "enter idle")
		c.hangUpLocked()
	}
}

// refuseStream refuses the newest stream by a final GOAWAY.
func (c *conn) refuseStream() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetLocked(c.highest)
	c.finalLocked(max(c.highest, 2)-2, noError, "")
}

// warnLocked says that the connection will end; until then streams are taken.
func (c *conn) warnLocked() {
	c.announced = true
	c.b.leaves(c)
	c.write(goAway(mostStreams, noError, ""))
}

func (c *conn) final() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finalLocked(c.highest, noError, "")
}

// finalLocked takes no stream beyond last, and closes when those up to it have ended.
func (c *conn) finalLocked(last, code uint32, debug string) {
	if c.over || c.closed {
		return
	}
	c.b.leaves(c)
	c.over, c.last = true, last
	c.write(goAway(last, code, debug))
	if len(c.streams) == 0 {
		c.hangUpLocked()
	}
}

// hangUpLocked closes whatever is open; what was sent still arrives.
func (c *conn) hangUpLocked() {
	if c.closed {
		return
	}
	c.closed = true
	for _, s := range c.streams {
		if s.timer != nil {
			s.timer.Stop()
		}
	}
	clear(c.streams)
	c.b.leaves(c)
	_ = c.end.Close()
}

func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangUpLocked()
}

// darken lets vanish what either side sends.
func (c *conn) darken() {
	c.end.in.darken()
	c.end.out.darken()
	c.b.leaves(c)
}
