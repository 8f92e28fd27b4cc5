package worlds

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

type namedWorld struct {
	name  string
	world World
}

// TestNamedWorlds plays worlds in which a pool was worse once.
func TestNamedWorlds(t *testing.T) {
	var all []namedWorld
	for _, some := range [][]namedWorld{caps(), restarts(), ages(), limits(), silence(), failing(), failingAtTheLimit(), planted(), {endedUnused()}} {
		all = append(all, some...)
	}
	for i, tt := range all {
		tt.world.Seed = uint64(i + 1)
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := tt.world.judge(t, tt.world.pool(), appeal)
			if v.worse != nil {
				t.Error(v)
			} else {
				t.Log(v)
			}
		})
	}
}

func size(n int) string { return fmt.Sprintf(`{"size":%d}`, n) }

func times(n int, s Server) (all []Server) {
	for range n {
		all = append(all, s)
	}
	return all
}

// caps: the server ends a connection after so many RPCs or answers.
func caps() (all []namedWorld) {
	for _, n := range []int{4, 1} {
		all = append(all, namedWorld{fmt.Sprintf("200 RPCs a connection, some without credentials, size %d", n), World{
			Servers: []Server{{Cap: 200}}, Latency: ms / 2, Dial: 10 * ms, Warm: sec, Setting: size(n),
			Callers: []Callers{{For: 2 * sec, Loop: 8, Pause: 2 * ms, FailOneIn: 100}},
		}})
	}
	for _, code := range []codes.Code{codes.NotFound, codes.Unauthenticated} {
		all = append(all, namedWorld{fmt.Sprintf("five answers of %v, then a FIN", code), World{
			Servers: []Server{{Few: 5}}, Latency: ms, Dial: 10 * ms, Warm: sec, Setting: size(4),
			Callers: []Callers{{For: 5 * sec, Loop: 4, Pause: 10 * ms, CodeOneIn: 1, Code: code}},
		}})
	}
	return all
}

// restarts: connections end at once by a final GOAWAY.
func restarts() (all []namedWorld) {
	add := func(name string, w World) { all = append(all, namedWorld{name, w}) }
	add("all end while none is in flight, after 20 RPCs each", World{
		Servers: []Server{{}}, Latency: ms, Dial: 400 * ms, Warm: sec, Setting: `{"picker":"round_robin","size":4}`,
		Callers: []Callers{{For: 200 * ms, Rate: 400, Burst: 40, Takes: ms}, {From: 2 * sec, For: sec, Loop: 40, Takes: 20 * ms}},
		Events:  []Event{{At: 180 * ms, What: End, Ending: Final}},
		Own:     Own{Slowest: 50 * ms}, // that of a dial, were it taken for a request limit
	})
	thrice := World{
		Servers: []Server{{}}, Health: true, Latency: 25 * ms, Warm: 1600 * ms, Setting: `{"maxPending":0}`,
		Callers: []Callers{{For: 320 * ms, Loop: 3, Pause: 2 * ms}},
		Own:     Own{Slowest: 500 * ms}, // as in a plain channel, and not a backoff
	}
	for _, at := range []time.Duration{154 * ms, 210 * ms, 266 * ms} { // round trips are 50 ms
		thrice.Events = append(thrice.Events, Event{At: at, What: End, Ending: Fin})
	}
	// Guards: `least.Draining()` in the picker's queue: the connection that ends was taken for a full one.
	add("the only connection ends each time, with maxPending 0", World{
		Servers: []Server{{Cap: 70}}, Latency: ms, Dial: 400 * ms, Warm: 3 * sec, Setting: `{"maxPending":0}`,
		Callers: []Callers{{For: 2660 * ms, Loop: 18, Pause: 96 * ms, FailOneIn: 20, CodeOneIn: 4, Code: codes.NotFound}},
		Own:     Own{NoFailure: true},
	})
	// Guards: lifecycle.Endpoint.retryForRPCs.
	for _, setting := range []string{size(1), size(4)} {
		add("one is away for 27 ms while no RPC comes, "+setting, World{
			Servers: []Server{{}}, Latency: ms, Dial: 10 * ms, Warm: sec, Setting: setting,
			Callers: []Callers{{For: 2 * sec, Loop: 20, Pause: 95 * ms}},
			Events:  []Event{{At: 1020 * ms, What: Restart, Ending: Fin, For: 27 * ms}},
			Own:     Own{NoFailure: true, Slowest: 50 * ms},
		})
		add("one is away for 120 ms, and RPCs come during the dial, "+setting, World{
			Servers: []Server{{}}, Latency: ms, Dial: 100 * ms, Warm: sec, Setting: setting,
			Callers: []Callers{{For: 2 * sec, Loop: 20, Pause: 95 * ms}},
			Events:  []Event{{At: sec, What: Restart, Ending: Fin, For: 120 * ms}},
			Own:     Own{NoFailure: true, Slowest: 300 * ms},
		})
	}
	// All RPCs of the outage would be queued in the first connection that comes, which is of the server that allows
	// one stream: 207 of 500 met their deadlines.
	//
	// Guards: `e.discard(s)` in lifecycle.Endpoint.endOutage.
	away := func(at time.Duration, server int) Event {
		return Event{At: at, Server: server, What: Restart, Ending: Final, For: 260 * ms}
	}
	add("one of two servers allows one stream, and both are away in turn", World{
		Servers: []Server{{}, {Limit: Limit{Streams: 1}}}, Skips: true, Latency: 25 * ms, Dial: 400 * ms, Warm: 900 * ms, Setting: `{"picker":"round_robin","size":4}`,
		Callers: []Callers{{For: 2 * sec, Rate: 248, Takes: 100 * ms, Wait: true}},
		Events:  []Event{away(46*ms, 0), away(363*ms, 1), away(680*ms, 0), away(997*ms, 0)},
		Own:     Own{NoFailure: true},
	})
	// Guards: `p.schedule.republish || p.published.state != connectivity.Ready` in the balancer's lostLocked.
	add("all end three times, with health checking", thrice)
	add("it accepts and closes, with health checking", World{
		Servers: []Server{{}}, Health: true, Latency: ms, Dial: 10 * ms, Warm: sec, Setting: size(4),
		Callers: []Callers{{For: 4 * sec, Loop: 4, Pause: 2 * ms, Wait: true}},
		Events:  []Event{{At: sec, What: Flap, For: 2 * sec}, {At: sec + ms, What: End, Ending: Fin}},
		Own:     Own{Slowest: 2500 * ms, Dials: 150}, // no backoff; one attempt at a time, which takes a while
	})
	for _, dial := range []time.Duration{100 * ms, sec} {
		for _, rolling := range []bool{false, true} {
			w := World{
				Servers: times(3, Server{}), Latency: ms, Dial: dial, Warm: 3 * sec, Setting: size(9),
				Callers: []Callers{{For: 2*sec + 2*dial, Loop: 20, Pause: 10 * ms, Takes: 5 * ms}},
				Events:  []Event{{At: 500 * ms, What: End, Ending: Final}},
				Own:     Own{Steady: true},
			}
			name := fmt.Sprintf("one of three servers restarts, dial %v", dial)
			if rolling {
				name += ", and then the rest"
				w.Events = append(w.Events, Event{At: sec + dial, Server: 1, What: End, Ending: Final},
					Event{At: 3*sec/2 + 2*dial, Server: 2, What: End, Ending: Final})
			}
			add(name, w)
		}
	}
	for _, setting := range []string{`{}`, size(1), size(6)} {
		for _, ending := range []Ending{Final, EnhanceYourCalm} {
			add(fmt.Sprintf("a young connection ends by %v, %s", ending, setting), World{
				Servers: []Server{{}}, Latency: 2 * ms, Dial: 50 * ms, Setting: setting,
				Callers: []Callers{{For: 3 * sec, Rate: 500, Takes: 10 * ms}},
				Events:  []Event{{At: 300 * ms, What: EndOne, Ending: ending}},
			})
		}
	}
	// Guards: `!isLost(info.Err)` in load.Load.fail, with gRPC's own text. Only RPCs that were refused wait, and none was,
	// for none was on its way.
	add("one of eight connections ends by ENHANCE_YOUR_CALM, which loses its RPCs", World{
		Servers: []Server{{}}, Dial: 100 * ms, Warm: sec, Setting: size(8),
		Callers: []Callers{{For: sec, Loop: 64, Pause: ms, Takes: 20 * ms}},
		Events:  []Event{{At: 500 * ms, What: EndOne, Ending: EnhanceYourCalm}},
		Own:     Own{Slowest: 50 * ms},
	})
	for _, n := range []int{1, 4, 8} {
		add(fmt.Sprintf("all connections end at the same time, thrice, size %d", n), World{
			Servers: []Server{{}}, Latency: ms, Dial: 5 * ms, Warm: 2 * sec, Setting: size(n),
			Callers: []Callers{{For: 3 * sec / 2, Rate: 4000, Takes: 2 * ms}},
			Events: []Event{{At: sec / 4, What: End, Ending: Final}, {At: sec / 2, What: End, Ending: Final},
				{At: sec, What: End, Ending: Final}},
		})
	}
	return all
}

// ages: the server ends each connection at an age by two GOAWAYs, the second refuses.
func ages() (all []namedWorld) {
	for _, n := range []int{4, 8} {
		all = append(all, namedWorld{fmt.Sprintf("a GOAWAY of two steps at the age of 3 s, size %d", n), World{
			Servers: []Server{{Age: 3 * sec, Ending: TwoStep}}, Latency: 25 * ms, Dial: 50 * ms, Setting: size(n),
			Callers: []Callers{{For: 24 * sec, Loop: 30, Pause: 10 * ms, Takes: 5 * ms}},
			Own:     Own{NoFailure: true}, // six or seven, were retries picked like others
		}})
	}
	// GOAWAYs come on and on.
	//
	// Guards: `g.count.Reopen()` in inRetryPeriodLocked.
	all = append(all, namedWorld{"a GOAWAY of two steps at the age of 123 ms, size 4", World{
		Servers: []Server{{Age: 123 * ms, Ending: TwoStep}}, Latency: 25 * ms, Dial: ms, Setting: size(4), Health: true,
		Callers: []Callers{{For: 5 * sec, Rate: 300, Takes: 100 * ms}},
		Own:     Own{NoFailure: true}, // 170 to 195, were there one retry period
	}})
	// Retries go to the youngest connection: those that are older are about to be ended, too.
	for _, ending := range []Ending{Final, TwoStep} {
		all = append(all, namedWorld{fmt.Sprintf("sixteen connections, %v at the age of 0.4 s", ending), World{
			Servers: []Server{{Age: 400 * ms, Ending: ending}}, Latency: 20 * ms, Dial: 20 * ms, Setting: size(16),
			Callers: []Callers{{For: 12 * sec, Loop: 30, Pause: 10 * ms, Takes: 5 * ms}},
			Own:     Own{Failures: 2}, // 8 in such a play, were it any connection
		}})
	}
	// RPCs that are refused are known as such, however many streams there are that no pick sees.
	for _, w := range []struct {
		what   string
		server Server
	}{
		{"which end the health checking once", Server{Age: 400 * ms, Ending: Final, EndsWatch: 1}},
		{"which end the health checking once, in two steps", Server{Age: 400 * ms, Ending: TwoStep, EndsWatch: 1}},
		{"which refuse streams after a GOAWAY", Server{Age: 400 * ms, RefusesLate: true}},
	} {
		all = append(all, namedWorld{"sixteen connections at the age of 0.4 s, " + w.what, World{
			Servers: []Server{w.server}, Health: w.server.EndsWatch > 0, Latency: 20 * ms, Dial: 20 * ms, Setting: size(16),
			Callers: []Callers{{For: 12 * sec, Loop: 30, Pause: 10 * ms, Takes: 5 * ms}},
			Own:     Own{Failures: 2},
		}})
	}
	return all
}

func limits() []namedWorld {
	return []namedWorld{
		{"a thousand RPCs at a time with short deadlines, while others are dialled for two seconds", World{
			Servers: []Server{{Limit: Limit{Streams: 100}}}, Dial: 2 * sec, Setting: `{"minSize":1,"maxSize":16}`,
			Callers: []Callers{{For: ms, Rate: 1}, {From: 3 * sec, For: 3 * sec, Rate: 700, Burst: 1000, Takes: ms, ShortOneIn: 1, Short: 15 * ms}},
		}},
		{"nine streams of ten on both connections, one ends and refuses one", World{
			Servers: []Server{{Limit: Limit{Streams: 10}}}, Latency: ms, Dial: 400 * ms, Warm: 3 * sec / 2, Setting: size(2),
			Callers: []Callers{{Streams: 18, For: 3 * sec}},
			Events:  []Event{{At: 500 * ms, What: RefuseStream}},
		}},
		{"a limit of ten that is stated late, 70 callers", World{
			Servers: []Server{{Limit: Limit{Streams: 10, Late: true}}}, Latency: ms, Dial: 10 * ms, Setting: `{}`,
			Callers: []Callers{{For: ms, Loop: 1}, {From: sec, For: 2 * sec, Loop: 70, Takes: 50 * ms}},
			Own:     Own{Ended: 2 * 2 * 10 * 20}, // twice what one connection carries
		}},
		{"maxPending 0, and a health check without an answer", World{
			Servers: []Server{{Limit: Limit{Streams: 2}, Mute: 1}}, Latency: ms, Health: true,
			Setting: `{"minSize":1,"maxSize":2,"targetStreams":1,"maxPending":0}`,
			Callers: []Callers{{Streams: 1, For: 60 * sec}, {From: sec, For: 10 * sec, Rate: 1, Deadline: 60 * sec}},
			Own:     Own{Slowest: sec + 50*ms},
		}},
		{"maxPending 0, and an endpoint whose dials hang", World{
			Servers: times(2, Server{Limit: Limit{Streams: 2}}), Apart: true, Latency: ms, Setting: `{"size":1,"maxPending":0}`,
			Callers: []Callers{{From: 2 * sec, For: 20 * sec, Rate: 100, Burst: 100, Takes: 10 * ms, Deadline: 30 * sec}},
			Events:  []Event{{Server: 1, What: Hang, For: 60 * sec}, {At: 100 * ms, Server: 1, What: End, Ending: Fin}},
			Own:     Own{Slowest: 50 * ms}, // a hold has lasted a second by then
		}},
	}
}

// endedUnused: a server that ends what carries nothing for half a second, and what has answered
// some RPCs. Of eight connections one was left.
func endedUnused() namedWorld {
	return namedWorld{"unused connections are ended within a second, others after 46 answers", World{
		Servers: []Server{{Idle: 506 * ms, Ending: Final, Few: 46}}, Latency: 5 * ms, Warm: 1520 * ms, Setting: size(8),
		Callers: []Callers{{For: 2500 * ms, Rate: 195, Burst: 41, Takes: 5 * ms}},
	}}
}

// silence: what happens while there are no calls, or no answers.
func silence() (all []namedWorld) {
	for _, ending := range []Ending{Graceful, Fin, EnterIdle} {
		all = append(all, namedWorld{fmt.Sprintf("minSize 0, idle connections end by %v, two silent hours", ending), World{
			Servers: []Server{{Idle: time.Minute, Ending: ending}}, Latency: ms, Dial: 10 * ms, Setting: `{"minSize":0}`,
			Callers:  []Callers{{For: ms, Loop: 1}, {From: 2 * time.Hour, For: ms, Loop: 1}},
			FewDials: true,
		}})
	}
	return append(all, namedWorld{"the serving connection goes dark while an old one drains", World{
		Servers: []Server{{}}, Latency: ms, Dial: 10 * ms,
		Setting: `{"size":1,"unresponsiveTimeout":"2s","idleTimeout":"20s","maxLifetime":"60s"}`,
		Callers: []Callers{{Streams: 1, For: 300 * sec}, {From: 70 * sec, For: 120 * sec, Rate: 2, Deadline: sec}},
		Events:  []Event{{At: 80 * sec, What: Darken}},
		Own:     Own{Failures: 20}, // two deadlines, two seconds apart, a dial
	}})
}

// failing: one of four servers behind an address fails all RPCs at once.
func failing() (all []namedWorld) {
	for _, code := range []codes.Code{codes.Unavailable, codes.Internal, codes.Unknown, codes.ResourceExhausted, codes.DeadlineExceeded} {
		for _, rate := range []time.Duration{3, 300} {
			all = append(all, namedWorld{fmt.Sprintf("one server of four answers %v, %d RPC/s a connection", code, rate), World{
				Servers: []Server{{}, {}, {Fails: code}, {}}, Latency: ms, Dial: 10 * ms, Setting: size(8),
				Callers: []Callers{{For: 200 * sec / rate, Rate: 8 * float64(rate), Takes: 10 * ms}}, EvenShares: true,
			}})
		}
	}
	return all
}

// A server that fails at once always has room. With plain channels in turn it gets its share.
func failingAtTheLimit() []namedWorld {
	s := Server{Limit: Limit{Streams: 1}}
	broken := s
	broken.Fails = codes.Unknown
	return []namedWorld{
		// Guards: `l.InFlight()` in load.Load.RelativeLoad: RPCs were queued by what had failed.
		{"short deadlines at the stream limit, and one RPC in four fails", World{
			Servers: []Server{{Limit: Limit{Streams: 3}}}, Latency: 25 * ms, Dial: 100 * ms, Warm: sec, Setting: `{"picker":"round_robin","size":4}`,
			Callers: []Callers{{For: 1500 * ms, Rate: 244, ShortOneIn: 5, Short: 75 * ms, CodeOneIn: 4, Code: codes.Unavailable}},
			Own:     Own{NoFailure: true},
		}},
		{"one server of four fails, each allows one stream", World{
			Servers: []Server{broken, s, s, s}, Latency: ms, Dial: ms, Warm: 3 * sec, Setting: size(4),
			Callers: []Callers{{For: sec, Rate: 400, Takes: 10 * ms}},
		}},
		{"one server of two fails, each allows ten streams, and the pool may grow", World{
			Servers: []Server{{Limit: Limit{Streams: 10}}, {Limit: Limit{Streams: 10}, Fails: codes.Unknown}},
			Latency: ms, Dial: ms, Warm: 3 * sec, Setting: `{"minSize":2,"maxSize":4}`,
			Callers: []Callers{{For: 2 * sec, Loop: 14, Pause: ms, Takes: 100 * ms}},
		}},
		{"a server allows one stream, another fails and states no limit", World{
			Servers: []Server{s, {Fails: codes.Internal}}, Latency: 25 * ms, Dial: ms, Warm: 3 * sec, Setting: size(4),
			Callers: []Callers{{For: 2600 * ms, Rate: 190, Burst: 44}},
		}},
		{"an address fails all RPCs, another allows one stream, and connections live 400 ms", World{
			Servers: []Server{{Fails: codes.Unavailable}, s}, Apart: true, Latency: ms / 5, Warm: 300 * ms, Setting: `{"size":4,"maxLifetime":"400ms"}`,
			Callers: []Callers{{For: 1825 * ms, Rate: 273, Burst: 36, Takes: 5 * ms}},
			Own:     Own{Failures: 252}, // as many as round_robin: half of them
		}},
		{"a server restarts, with five streams on each connection", World{
			Servers: []Server{{}}, Latency: ms, Dial: 20 * ms, Warm: sec, Setting: `{"size":4,"picker":"round_robin"}`,
			Callers: []Callers{{Streams: 20, For: 60 * sec}, {From: 41 * sec, Streams: 60, For: 5 * sec}},
			Events:  []Event{{At: 40 * sec, What: End, Ending: Final}},
			Own:     Own{Slowest: 50 * ms},
		}},
		{"connections live 73 ms, answers take 180 ms, after a minute of silence", World{
			Servers: []Server{{Age: 73 * ms, Ending: Final, Slow: 180 * ms}}, Latency: ms, Dial: 10 * ms, Warm: 3 * sec / 2, Setting: size(8),
			Callers: []Callers{
				{For: 2 * sec, Rate: 91, Takes: 100 * ms},
				{From: 67 * sec, For: 2540 * ms, Rate: 196, Burst: 9, Takes: ms, Wait: true},
			},
			Own: Own{Slowest: sec},
		}},
		{"connections live 80 ms, maxPending 0, and no limit is stated", World{
			Servers: []Server{{Age: 80 * ms, Ending: Final}}, Latency: 25 * ms, Warm: 100 * ms, Setting: `{"maxPending":0}`,
			Callers: []Callers{{For: 2 * sec, Rate: 240, Wait: true}},
		}},
		{"four servers refuse a stream each, which looks like a limit of RPCs", World{
			Servers: make([]Server, 4), Latency: 5 * ms, Dial: 400 * ms, Warm: 3820 * ms, Setting: `{"picker":"round_robin","size":4}`,
			Callers: []Callers{
				{For: 1790 * ms, Loop: 9, Pause: 27 * ms, Takes: 5 * ms, ShortOneIn: 5, Short: 88 * ms},
				{From: 273 * ms, For: 634 * ms, Streams: 15},
			},
			Events: []Event{{At: 146 * ms, Server: -1, What: RefuseStream}},
			Own:    Own{Ended: 270},
		}},
		{"a server takes six RPCs on a connection", World{
			Servers: []Server{{Cap: 6}}, Latency: 5 * ms, Dial: 10 * ms, Warm: 3 * sec / 2, Setting: size(4),
			Callers: []Callers{{For: 1070 * ms, Loop: 40, Pause: 80 * ms, Takes: 5 * ms, Wait: true}},
		}},
		{"a server takes 24 RPCs on each of four connections, and the dials in their place end one after the other", World{
			Servers: []Server{{Cap: 24}}, Latency: 5 * ms, Dial: 900 * ms, Warm: 2320 * ms, Setting: size(4),
			Callers: []Callers{{For: 1628 * ms, Loop: 40, Pause: 129 * ms, Takes: ms}},
		}},
		{"a limit that is stated after the first RPC, and connections that end after 80", World{
			Servers: []Server{{Limit: Limit{Streams: 10, Late: true}, Few: 80}}, Latency: ms, Dial: 400 * ms, Warm: 1104 * ms, Setting: `{}`,
			Callers: []Callers{{For: 966 * ms, Loop: 34, Pause: 64 * ms, Takes: ms}},
			Own:     Own{Dials: 14},
		}},
		{"a server answers 18 RPCs, and closes the connection with the last answer", World{
			Servers: []Server{{Idle: 64 * ms, Ending: TwoStep, Few: 18}}, Latency: 5 * ms, Dial: 400 * ms, Warm: 820 * ms, Setting: size(8),
			Callers: []Callers{{For: 2078 * ms, Rate: 240, Burst: 18, SlowOneIn: 1, Creds: 41 * ms}},
			Own:     Own{Failures: 260},
		}},
		{"all RPCs fail alike, and one connection of four is ended each 241 ms", World{
			Servers: []Server{{}}, Latency: 5 * ms, Warm: 3 * sec, Setting: size(4),
			Callers: []Callers{{For: 1900 * ms, Loop: 31, Pause: 19 * ms, Takes: 100 * ms, SlowOneIn: 1, Creds: 11 * ms, CodeOneIn: 1, Code: codes.Unavailable}},
			Events: []Event{
				{At: 436 * ms, What: SetLimit, Limit: 5}, {At: 904 * ms, What: RefuseStream},
				{At: 1145 * ms, What: RefuseStream}, {At: 1386 * ms, What: RefuseStream}, {At: 1627 * ms, What: RefuseStream},
			},
		}},
	}
}

// planted: what mutants/*.patch break and no other world shows. In most of them a plain
// channel is no measure.
func planted() []namedWorld {
	const dies = 20 * sec
	return []namedWorld{
		{"two long streams of two, and the dial for more is refused", World{
			Servers: []Server{{Limit: Limit{Streams: 2}}}, Latency: ms, Dial: 10 * ms, Warm: sec,
			Setting: `{"minSize":1,"maxSize":2,"maxPending":0}`,
			Callers: []Callers{{Streams: 2, For: 5 * sec}, {From: 5 * ms, For: ms, Rate: 1, Burst: 2}},
			Events:  []Event{{What: Refuse, For: 60 * sec}},
			Own:     Own{Slowest: 50 * ms}, // the dial
		}},
		{"a limit of ten, maxPending 0, one RPC in three without credentials", World{
			Servers: []Server{{Limit: Limit{Streams: 10}}}, Latency: ms, Dial: 10 * ms, Warm: sec, Setting: `{"size":1,"maxPending":0}`,
			Callers: []Callers{{For: 2 * sec, Rate: 100, FailOneIn: 3}},
			Own:     Own{Ended: 200},
		}},
		{"places that come free without a stream while a dial hangs", World{
			Servers: []Server{{Limit: Limit{Streams: 2}}}, Latency: ms, Dial: 10 * ms, Warm: sec, Setting: `{"minSize":1,"maxSize":2}`,
			Callers: []Callers{{For: ms, Rate: 1, Burst: 2, FailOneIn: 1, SlowOneIn: 1, Creds: 100 * ms}, {From: 20 * ms, For: ms, Rate: 1, Burst: 2}},
			Events:  []Event{{What: Hang, For: 60 * sec}},
			Own:     Own{Slowest: 200 * ms}, // credentials, and a while
		}},
		{"a server of eight connections is dead for 20 s", World{
			Servers: []Server{{}}, Latency: ms, Dial: 10 * ms, Warm: sec, Setting: size(8),
			Callers: []Callers{{For: dies + 5*sec, Rate: 10, Wait: true, Deadline: dies + 20*sec}},
			Events:  []Event{{At: sec, What: Restart, Ending: Fin, For: dies}},
			Own:     Own{Dials: 8 + 8 + 8 + 8}, // as many as one channel in its backoff, but for those that lost a connection
		}},
		{"credentials that take 150 ms, maxLifetime 400 ms", World{
			Servers: []Server{{}}, Latency: ms, Dial: 10 * ms, Warm: sec, Setting: `{"size":2,"maxLifetime":"400ms"}`,
			Callers: []Callers{{For: 5 * sec, Rate: 100, SlowOneIn: 2, Creds: 150 * ms}},
		}},
		{"RPCs of 10 s, maxLifetime 400 ms", World{
			Servers: []Server{{}}, Latency: ms, Dial: 10 * ms, Warm: sec, Setting: `{"size":2,"maxLifetime":"400ms"}`,
			Callers: []Callers{{For: 5 * sec, Rate: 20, Takes: 10 * sec}},
			Own:     Own{Connections: 2 + 2 + 1}, // its size, as many that drain, a successor
		}},
		{"sixteen connections of one age, maxLifetime 10 s", World{
			Servers: []Server{{}}, Latency: ms, Dial: 10 * ms, Setting: `{"size":16,"maxLifetime":"10s"}`,
			Callers: []Callers{{For: 15 * sec, Rate: 20}},
			Own:     Own{Rush: 4},
		}},
		{"200 RPCs a connection, every other without credentials", World{
			Servers: []Server{{Cap: 200}}, Latency: ms, Dial: 10 * ms, Warm: sec, Setting: size(1),
			Callers: []Callers{{For: 20 * sec, Rate: 1000, FailOneIn: 2}},
			Own:     Own{Dials: 10000/200 + 4},
		}},
		{"300 servers, of which the resolver drops one after the other", World{
			Servers: times(300, Server{}), Apart: true, Latency: ms, Dial: 10 * ms, Warm: sec, Setting: size(2), Churn: 20 * ms,
			Callers: []Callers{{For: 2 * sec, Rate: 1000, Takes: 5 * ms}},
		}},
		{"a pool that is closed after one RPC", World{
			Servers: []Server{{}}, Latency: ms, Dial: 10 * ms, Setting: size(1),
			Callers: []Callers{{For: ms, Rate: 1}},
			Own:     Own{Gone: true},
		}},
	}
}
