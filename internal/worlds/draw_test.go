package worlds

import (
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
)

// poolSettings are drawn: each occurs in many worlds.
var poolSettings = []string{
	`{}`, `{"size":1}`, `{"size":4}`, `{"size":8}`,
	`{"minSize":1,"maxSize":8,"targetStreams":4}`,
	`{"minSize":0}`,
	`{"maxPending":0}`,
	`{"size":4,"maxLifetime":"400ms","idleTimeout":"1s"}`,
	`{"picker":"round_robin","size":4}`,
	`{"size":4,"unresponsiveTimeout":"500ms"}`,
}

// A dice draws a world.
type dice struct{ *rand.Rand }

func one[T any](d dice, of ...T) T { return of[d.IntN(len(of))] }

func (d dice) oneIn(n int) bool { return d.IntN(n) == 0 }

func (d dice) between(least, most time.Duration) time.Duration {
	return (least + time.Duration(d.Int64N(int64(most-least)+1))).Round(100 * time.Microsecond)
}

// drawWorld is the world of a seed: always the same.
func drawWorld(seed uint64) *World {
	d := dice{rand.New(rand.NewPCG(seed, 0))}
	w := &World{
		Seed:    seed,
		Servers: make([]Server, one(d, 1, 1, 1, 2, 3, 4)),
		Random:  d.oneIn(2),
		Skips:   d.oneIn(2),
		Latency: one(d, 0, 200*time.Microsecond, ms, 5*ms, 25*ms),
		Dial:    one(d, 0, ms, 10*ms, 100*ms, 400*ms, sec),
		Warm:    one(d, 0, 300*ms, 3*sec/2, 3*sec),
		Setting: one(d, poolSettings...),
	}
	w.Apart = len(w.Servers) > 1 && d.oneIn(3)
	w.Health = d.oneIn(20)
	lasts := d.between(300*ms, 3*sec)
	w.Callers = append(w.Callers, d.callers(lasts))
	for range one(d, 1, 1, 2) {
		if d.oneIn(2) {
			d.habit(w)
		} else {
			d.event(w, lasts)
		}
	}
	if d.oneIn(6) {
		w.Callers = append(w.Callers, Callers{From: d.between(0, lasts/2), For: d.between(ms, lasts), Streams: 1 + d.IntN(20)})
	}
	if d.oneIn(10) {
		w.Callers = append(w.Callers, Callers{From: d.between(0, lasts/2), Leaked: 1 + d.IntN(5)})
	}
	if d.oneIn(8) {
		again := d.callers(lasts)
		least, most := time.Minute, 2*time.Hour
		if life := w.shortest(); life > 0 { // or it takes long to play
			most = min(most, least+100*life)
		}
		if w.has("maxLifetime") {
			least, most = 5*sec, 20*sec
		}
		again.From = lasts + d.between(least, most)
		w.Callers = append(w.Callers, again)
	}
	if d.oneIn(20) {
		d.crowd(w, lasts)
	}
	return w
}

// callers make some hundred RPCs.
func (d dice) callers(lasts time.Duration) Callers {
	const about = 500
	c := Callers{For: lasts, Takes: one(d, 0, ms, 5*ms, 20*ms, 100*ms)}
	if d.oneIn(2) {
		c.Rate = float64(int(min(50+1950*d.Float64()*d.Float64(), about/lasts.Seconds())))
		if d.oneIn(4) {
			c.Burst = 5 + d.IntN(40)
		}
	} else {
		c.Loop = 1 + d.IntN(40)
		c.Pause = max(ms, time.Duration(c.Loop)*lasts/about-c.Takes)
	}
	if d.oneIn(6) {
		c.FailOneIn = one(d, 3, 20, 100)
	}
	if d.oneIn(6) {
		c.SlowOneIn, c.Creds = one(d, 1, 5, 20), d.between(ms, 50*ms)
	}
	if d.oneIn(6) {
		c.CodeOneIn, c.Code = one(d, 1, 4, 20), one(d, codes.NotFound, codes.Unauthenticated, codes.InvalidArgument, codes.Unavailable)
	}
	if d.oneIn(6) {
		c.ShortOneIn, c.Short = one(d, 5, 20), d.between(ms, 100*ms)
	}
	c.Wait = d.oneIn(4)
	return c
}

// crowd makes many RPCs at a time, once or twice. In one of four such worlds a pool grows for them.
func (d dice) crowd(w *World, lasts time.Duration) {
	c := Callers{From: d.between(0, lasts/2), For: lasts / 2, Burst: 100 + d.IntN(900), Takes: one(d, ms, 5*ms, 20*ms)}
	c.Rate = one(d, 1.0, 2) * float64(c.Burst) / c.For.Seconds()
	if d.oneIn(2) {
		c.ShortOneIn, c.Short = one(d, 1, 5), d.between(5*ms, 60*ms)
	}
	w.Callers = append(w.Callers, c)
	if d.oneIn(2) {
		limit := one(d, 1, 10, 30, 100)
		for i := range w.Servers {
			w.Servers[i].Limit.Streams = limit
		}
	}
	if d.oneIn(2) {
		w.Setting = `{"minSize":1,"maxSize":16}`
	}
}

// habit gives one to a server, or to all.
func (d dice) habit(w *World) {
	n, all := d.IntN(len(w.Servers)), d.oneIn(2)
	var h func(*Server)
	switch d.IntN(7) {
	case 0:
		most := 3 + d.IntN(200)
		h = func(s *Server) { s.Cap = most }
	case 1:
		age, ending := d.between(50*ms, 2*sec), d.ending()
		age = max(age, ending.shortest())
		h = func(s *Server) { s.Age, s.Ending = age, ending }
	case 2:
		idle, ending := d.between(20*ms, 3*sec), d.ending()
		idle = max(idle, ending.shortest())
		h = func(s *Server) { s.Idle, s.Ending = idle, ending }
	case 3:
		limit := d.limit()
		h = func(s *Server) { s.Limit = limit }
	case 4:
		slow := d.between(ms, 300*ms)
		h = func(s *Server) { s.Slow = slow }
	case 5:
		code := one(d, codes.Unavailable, codes.Internal, codes.Unknown, codes.ResourceExhausted, codes.NotFound)
		all = false
		h = func(s *Server) { s.Fails = code }
	default:
		few := 10 + d.IntN(100)
		h = func(s *Server) { s.Few = few }
	}
	for i := range w.Servers {
		if all || i == n {
			h(&w.Servers[i])
		}
	}
}

func (d dice) ending() Ending { return Ending(d.IntN(int(endings))) }

// shortest is the least life that a drawn server gives a connection. One that breaks off
// connections within a second flaps, and that is another habit.
func (g Ending) shortest() time.Duration {
	if g.losesRPCs() {
		return 1200 * ms
	}
	return 0
}

func (d dice) limit() Limit {
	l := Limit{Streams: one(d, 1, 3, 10, 30, 100), Late: d.oneIn(3)}
	if d.oneIn(3) {
		l.Then, l.After = one(d, -1, 1, l.Streams/2, l.Streams, 2*l.Streams), d.between(ms, sec)
	}
	if l.Then != 0 && (l.Then < 0 || d.oneIn(2)) {
		l.Back = d.between(10*ms, sec)
	}
	return l
}

// event lets something happen to a server, or to all; now and then again, or to one after
// the other.
func (d dice) event(w *World, lasts time.Duration) {
	e := Event{
		At:     d.between(0, lasts*3/4),
		Server: d.IntN(len(w.Servers)),
		What:   one(d, End, End, EndOne, EndOne, Restart, Restart, Flap, Refuse, Hang, SetLimit, RefuseStream),
		Ending: d.ending(),
		For:    d.between(10*ms, sec),
		Limit:  one(d, 0, 1, 5, 20, 100),
	}
	if e.What != SetLimit && d.oneIn(40) {
		e.What, w.Keepalive = Darken, 10*sec
	}
	if e.Limit == 0 && e.What == SetLimit {
		w.Events = append(w.Events, Event{At: e.At + e.For, Server: e.Server, What: SetLimit, Limit: 20})
	}
	if d.oneIn(3) {
		e.Server = -1
	}
	w.Events = append(w.Events, e)
	if e.What == Flap || e.What == Refuse || e.What == Hang { // and what was there is lost
		w.Events = append(w.Events, Event{At: e.At + ms, Server: e.Server, What: End, Ending: e.Ending})
	}
	if d.oneIn(2) {
		return
	}
	apart := d.between(20*ms, lasts/2)
	for i := 1; i < one(d, 2, 3, 4); i++ {
		next := e
		next.At += time.Duration(i) * apart
		if e.Server >= 0 && d.oneIn(2) {
			next.Server = (e.Server + i) % len(w.Servers)
		}
		w.Events = append(w.Events, next)
	}
}
