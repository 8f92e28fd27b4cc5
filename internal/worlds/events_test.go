package worlds

import (
	"cmp"
	"slices"
	"time"
)

// happen lets the events happen, in their order.
func (s *stage) happen(start time.Time, done <-chan struct{}) {
	events := slices.Clone(s.events)
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	for _, e := range events {
		select {
		case <-done:
			return
		case <-time.After(time.Until(start.Add(e.At))):
		}
		for i, b := range s.backends {
			if e.Server == i || e.Server < 0 {
				b.suffer(e)
			}
		}
	}
}

func (b *backend) suffer(e Event) {
	switch e.What {
	case Restart:
		b.trouble(Refuse, e.For)
		b.endAll(e.Ending)
	case End:
		b.endAll(e.Ending)
	case EndOne:
		if c := b.youngest(); c != nil {
			c.endBy(e.Ending)
		}
	case Darken:
		if c := b.youngest(); c != nil {
			c.darken()
		}
	case RefuseStream:
		if c := b.youngest(); c != nil {
			c.refuseStream()
		}
	case SetLimit:
		b.mu.Lock()
		b.limited = &e.Limit
		b.mu.Unlock()
		for _, c := range b.present() {
			c.state(e.Limit)
		}
	case Flap, Refuse, Hang:
		b.trouble(e.What, e.For)
	}
}

func (b *backend) trouble(what What, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state, b.until = what, time.Now().Add(d)
}

func (b *backend) endAll(g Ending) {
	for _, c := range b.present() {
		c.endBy(g)
	}
}

func (b *backend) youngest() *conn {
	if conns := b.present(); len(conns) > 0 {
		return conns[len(conns)-1]
	}
	return nil
}
