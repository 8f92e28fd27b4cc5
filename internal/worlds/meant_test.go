package worlds

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// A difference that is meant: a setting asks for it, or the law says so. The table is
// copied to docs/reliability.md, "Differences that are meant".
type difference struct {
	name   string
	when   func(*World) bool
	code   codes.Code                 // RPCs that fail by it are not held against the pool; OK is none
	dials  func(*World, *figures) int // that it explains
	lost   func(*World, *figures) int // RPCs
	pause  func(*World) time.Duration // for which RPCs may wait, or fail, and so long after which throughput is not compared
	reason string
}

var meant = []difference{
	{
		name:   "maxPending",
		when:   func(w *World) bool { return w.has(`"maxPending"`) && w.limited() },
		code:   codes.ResourceExhausted,
		reason: "maxPending asks that RPCs end at once rather than wait for a stream of a server that states a limit",
	},
	{
		name: "renewal",
		when: func(w *World) bool { return w.has(`"maxLifetime"`) },
		dials: func(w *World, f *figures) int {
			const shortest = 400 * time.Millisecond * 3 / 4
			return int(f.lasted/shortest+1) * (w.most() + 1)
		},
		reason: "maxLifetime asks for a new connection in place of an old one",
	},
	{
		name: "refresh",
		when: func(w *World) bool { return !w.FewDials && w.lasts() > time.Minute },
		dials: func(w *World, f *figures) int {
			return int(f.lasted/(3*time.Minute)+1) * w.most()
		},
		reason: "a silent connection is replaced before idleTimeout, where a plain channel would keep one that a middlebox has dropped",
	},
	{
		name: "kept open",
		when: func(w *World) bool { return !w.FewDials && w.shortest() > 0 },
		dials: func(w *World, f *figures) int {
			least, most := w.sizes()
			n := int(f.lasted/w.shortest()+1) * least
			if least < most { // idleTimeout ÷ 8 is 30 s
				n += len(w.Callers) * int(30*time.Second/w.shortest()+1) * most
			}
			return n * len(w.Servers)
		},
		reason: "minSize asks that so many connections are open, so one that the server ends for its age or for silence is made again, where a plain channel waits for the next RPC; and so is one that the demand of the last idleTimeout ÷ 8 called for",
	},
	{
		name: "flow on",
		when: func(w *World) bool { return w.few() > 0 || w.breaksOff() },
		lost: func(w *World, f *figures) int {
			if w.few() > 0 {
				return f.made * f.each
			}
			rounds := (f.made - f.most + w.most() - 1) / w.most()
			if life := w.shortest(); life > 0 {
				rounds = min(rounds, int(w.calls()/life)+1)
			}
			return rounds * f.flying
		},
		reason: "while a lost connection is made again its RPCs flow on over those that are left, instead of waiting; a server that closes each connection after so many answers, or at an age, then ends more of them",
	},
	{
		name: "before it is known",
		when: func(w *World) bool {
			return slices.ContainsFunc(w.Servers, func(s Server) bool { return s.Cap > 0 })
		},
		lost:   func(w *World, f *figures) int { return f.flying },
		reason: "a server that ends each connection after so many RPCs is known when two ends agree; until then all that waited for a connection meet the first one that is there, where N channels have one each",
	},
	{
		name:   "first there",
		when:   func(w *World) bool { return len(w.Events) > 1 },
		lost:   func(w *World, f *figures) int { return f.flying },
		reason: "all that waited for a connection meet the first one that is there, where N channels have one each; if that is soon ended in its turn, they are lost together",
	},
	{
		name: "flap",
		when: func(w *World) bool { return w.happens(Flap) },
		pause: func(w *World) time.Duration {
			d := w.spans(Flap) + w.handshake() + 1200*time.Millisecond
			if w.Health {
				d += 2 * time.Second
			}
			return d
		},
		reason: "an endpoint whose server accepts and closes is dialled one attempt at a time; with health checking an RPC is not sent on such a connection, and waits for the backoff",
	},
	{
		name:   "held for a dial",
		when:   func(w *World) bool { return w.limited() },
		pause:  func(w *World) time.Duration { return min(w.handshake(), time.Second) },
		reason: "while a connection is made RPCs that find every connection full are held for it, a second at most, and not queued, for a stream may never end; a failing server has room, so at the limit they go there",
	},
	{
		name: "one backoff",
		when: func(w *World) bool {
			return w.happens(Refuse) || w.happens(Hang) || slices.ContainsFunc(w.Events, func(e Event) bool { return e.What == Restart && e.For > 0 })
		},
		pause:  func(w *World) time.Duration { return 1200*time.Millisecond + w.handshake() },
		reason: "a dial that is refused is followed by gRPC's backoff, about a second, of which an endpoint has one and N channels N: whose dial is refused, and which of N is back first, is chance",
	},
	{
		name:   "idle",
		when:   func(w *World) bool { least, _ := w.sizes(); return least == 0 },
		pause:  func(w *World) time.Duration { return w.handshake() },
		reason: "minSize 0 asks that an unused pool is idle, and connects when it is used again",
	},
	{
		name:   "answers",
		when:   func(w *World) bool { i := w.fails(); return i >= 0 && w.Servers[i].Fails == codes.NotFound },
		code:   codes.NotFound,
		reason: "an answer of the application is one, whatever its code: of two servers the one that answers sooner carries fewer RPCs at a time, and gets the next one",
	},
}

func (w *World) happens(what What) bool {
	return slices.ContainsFunc(w.Events, func(e Event) bool { return e.What == what })
}

func (w *World) has(setting string) bool { return strings.Contains(w.Setting, setting) }

// limited reports whether a server states a limit.
func (w *World) limited() bool {
	for _, s := range w.Servers {
		if s.Limit.Streams != 0 {
			return true
		}
	}
	return w.happens(SetLimit)
}

// spans is how long it is from the first such event until the last one is over.
func (w *World) spans(what What) time.Duration {
	from, to := w.lasts(), time.Duration(0)
	for _, e := range w.Events {
		if e.What == what {
			from, to = min(from, e.At), max(to, e.At+e.For)
		}
	}
	return max(0, to-from)
}

// shortest is the shortest life that a server gives a connection; 0 is no bound.
func (w *World) shortest() (life time.Duration) {
	for _, s := range w.Servers {
		for _, d := range []time.Duration{s.Age * 9 / 10, s.Idle} {
			if d > 0 && (life == 0 || d < life) {
				life = d
			}
		}
	}
	return life
}

// few is the least number of RPCs after which a server ends a connection; 0 is no bound.
func (w *World) few() (n int) {
	for _, s := range w.Servers {
		if s.Few > 0 && (n == 0 || s.Few < n) {
			n = s.Few
		}
	}
	return n
}

// breaksOff reports whether a server ends connections of an age with RPCs on them.
func (w *World) breaksOff() bool {
	return slices.ContainsFunc(w.Servers, func(s Server) bool { return s.Age > 0 && s.Ending.losesRPCs() })
}

// calls is how long any of the callers calls.
func (w *World) calls() (d time.Duration) {
	for _, c := range w.Callers {
		if c.Rate > 0 || c.Loop > 0 {
			d += c.For
		}
	}
	return d
}

// refuses reports whether the pool ended RPCs because its setting asks for it.
func (w *World) refuses(f *figures) bool { return w.held(f) < f.failures()-f.late }

// held is how many of the failures count.
func (w *World) held(f *figures) int {
	n := f.failures() - f.late
	for _, d := range meant {
		if d.code != codes.OK && d.when(w) {
			n -= f.failed[d.code]
		}
	}
	return n
}

// asked is how many dials more the differences allow.
func (w *World) asked(f *figures) int {
	return w.sum(f, func(d difference) func(*World, *figures) int { return d.dials })
}

// lost is how many failures more the differences allow.
func (w *World) lost(f *figures) int {
	return w.sum(f, func(d difference) func(*World, *figures) int { return d.lost })
}

func (w *World) sum(f *figures, which func(difference) func(*World, *figures) int) (n int) {
	for _, d := range meant {
		if of := which(d); of != nil && d.when(w) {
			n += of(w, f)
		}
	}
	return n
}

// pause is how long RPCs may wait, or fail, beyond what is compared.
func (w *World) pause() (longest time.Duration) {
	for _, d := range meant {
		if d.pause != nil && d.when(w) {
			longest = max(longest, d.pause(w))
		}
	}
	return longest
}
