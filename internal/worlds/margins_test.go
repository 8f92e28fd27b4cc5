package worlds

import (
	"cmp"
	"time"
)

// margins are how much worse is not worse. What goes beyond the first three of them stands in
// the table of differences.
type margins struct {
	failures int           // 0.1 % of the RPCs
	late     int           // RPCs whose short deadline was over: 0.1 %
	slowest  time.Duration // one handshake and 50 ms
	dials    int           // half as many more, and as many as the pool may have twice over
}

func (w *World) margins(ours *figures, plain []figures) margins {
	m := margins{}
	for i := range plain {
		rpcs := max(plain[i].rpcs, ours.rpcs)
		m.failures = max(m.failures, rpcs/1000+w.lost(ours, &plain[i]))
		m.late = max(m.late, rpcs/1000+w.lateMore(ours, &plain[i]))
		m.slowest = max(m.slowest, w.handshake()+50*time.Millisecond+w.pause()+w.slower(&plain[i]))
		m.dials = max(m.dials, plain[i].dials/2)
	}
	m.dials += 2*w.most() + w.asked(ours)
	for _, s := range w.Servers { // callers that make more RPCs need more connections
		if n := cmp.Or(min(s.Cap, s.Few), s.Cap, s.Few); n > 0 {
			m.dials += ours.rpcs / n
			break
		}
	}
	if w.FewDials {
		m.dials = 2
	}
	return m
}
