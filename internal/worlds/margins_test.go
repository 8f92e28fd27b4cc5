package worlds

import "time"

// margins are how much worse is not worse.
type margins struct {
	failures int           // 0.1 % of the RPCs, but at least one, and what chance may hit
	late     int           // RPCs whose short deadline was over: 2 %, and those of one connection
	slowest  time.Duration // one handshake and 50 ms
	dials    int           // half as many more, and as many as the pool may have twice over
	share    float64       // of the RPCs that a failing server gets
}

func (w *World) margins(ours *figures, plain []figures) margins {
	m := margins{share: 0.03, slowest: w.slower(plain)}
	for i := range plain {
		f := &plain[i]
		rpcs := max(f.rpcs, ours.rpcs)
		n := rpcs/1000 + 1
		if w.loses() {
			n += f.each // which connection ends is chance: the RPCs of one
		}
		if w.fails() >= 0 {
			n += rpcs * 3 / 100
			if w.limited() {
				n += rpcs / 3
			}
		}
		if calls := w.calls(); w.pause() > 0 && calls > 0 {
			n += int(float64(rpcs) * min(1, w.pause().Seconds()/calls.Seconds()))
		}
		m.failures = max(m.failures, n)
		m.late = max(m.late, rpcs/50+f.each)
		m.dials = max(m.dials, f.dials/2)
	}
	m.failures += w.lost(ours)
	m.dials += 2*w.most() + w.asked(ours)
	for _, s := range w.Servers { // callers that make more RPCs need more connections
		if n := max(s.Cap, s.Few); n > 0 {
			m.dials += ours.rpcs / n
			break
		}
	}
	if w.FewDials {
		m.dials = 2
	}
	return m
}

// slower is how much longer than with plain channels an RPC may take.
func (w *World) slower(plain []figures) time.Duration {
	d := w.handshake() + 50*time.Millisecond + w.pause()
	if w.Health { // a plain channel does not ask
		d += w.roundTrip()
	}
	if w.happens(Darken) { // when it was used last is chance
		d += w.Keepalive * 3 / 2
	}
	again := time.Duration(0) // what is refused is done again; whose age is over is chance
	for _, c := range w.Callers {
		again = max(again, c.Takes*3/2)
		if c.Streams > 0 {
			again = max(again, c.For)
		}
	}
	for _, s := range w.Servers {
		if s.Limit.Then != 0 { // when it is stated is chance
			d += s.Limit.Back
		}
		if s.Age > 0 {
			d += again
		}
	}
	if w.limited() { // gRPC's queue at the limit is not fair
		for i := range plain {
			d = max(d, plain[i].slowest/2)
		}
		d += again // where another RPC was sooner
	}
	return d
}
