package worlds

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

func (w *World) happens(what What) bool {
	return slices.ContainsFunc(w.Events, func(e Event) bool { return e.What == what })
}

func (w *World) has(setting string) bool { return strings.Contains(w.Setting, setting) }

// darkened is how many connections go dark.
func (w *World) darkened() (n int) {
	for _, e := range w.Events {
		switch {
		case e.What != Darken:
		case e.Server < 0:
			n += len(w.Servers)
		default:
			n++
		}
	}
	return n
}

// short is how many of so many RPCs have a short deadline.
func (w *World) short(rpcs int) (n int) {
	for _, c := range w.Callers {
		if c.ShortOneIn > 0 {
			n = rpcs / c.ShortOneIn
		}
	}
	return n
}

// leaked is how many streams are never read.
func (w *World) leaked() (n int) {
	for _, c := range w.Callers {
		n += c.Leaked
	}
	return n
}

// lesser is the lesser of two bounds, of which those that are not positive are none.
func lesser[T int | time.Duration](a, b T) T {
	if a <= 0 || 0 < b && b < a {
		return b
	}
	return a
}

// leastLimit is the least number of streams that a server allows; 0 is none that is stated.
func (w *World) leastLimit() (n int) {
	for _, s := range w.Servers {
		n = lesser(n, lesser(s.Limit.Streams, s.Limit.Then))
	}
	for _, e := range w.Events {
		if e.What == SetLimit {
			n = lesser(n, e.Limit)
		}
	}
	return max(0, n)
}

// leastCap is the least number of RPCs that a server takes on a connection; 0 is any number.
func (w *World) leastCap() (n int) {
	for _, s := range w.Servers {
		n = lesser(n, s.Cap)
	}
	return n
}

// limited reports whether a server states a limit.
func (w *World) limited() bool {
	for _, s := range w.Servers {
		if s.Limit.Streams != 0 {
			return true
		}
	}
	return w.happens(SetLimit)
}

// refusedFor is how long it is from the first dial that may be refused, or hang, to the last one.
func (w *World) refusedFor() time.Duration {
	from, to := w.lasts(), time.Duration(0)
	for _, e := range w.Events {
		if e.What == Refuse || e.What == Hang || e.What == Restart {
			from, to = min(from, e.At), max(to, e.At+e.For)
		}
	}
	return max(0, to-from)
}

// shortest is the shortest life that a server gives a connection; 0 is no bound.
func (w *World) shortest() (life time.Duration) {
	for _, s := range w.Servers {
		life = lesser(life, lesser(s.Age*9/10, s.Idle))
	}
	return life
}

// livesLess reports whether a server ends connections before they are so old.
func (w *World) livesLess(d time.Duration) bool { return 0 < w.shortest() && w.shortest() < d }

// agesWithin reports whether a server ends connections when they are so old, also while they carry RPCs.
func (w *World) agesWithin(d time.Duration) bool {
	return slices.ContainsFunc(w.Servers, func(s Server) bool { return s.Age > 0 && s.Age*9/10 < d })
}

// endsUnproven reports whether a server ends connections so soon that one that carried nothing counts
// as failed.
func (w *World) endsUnproven() bool { return w.livesLess(100 * time.Millisecond) }

// endsWhileDialled reports whether a server ends connections while others are dialled.
func (w *World) endsWhileDialled() bool { return w.livesLess(2 * w.handshake()) }

// credentials is how long an RPC may wait for them.
func (w *World) credentials() (d time.Duration) {
	for _, c := range w.Callers {
		d = max(d, c.Creds)
	}
	return d
}

// meetsAnother reports whether the only connection of a pool may be replaced by one to a server that
// fails all RPCs.
func (w *World) meetsAnother(f *figures) bool {
	return w.fails() >= 0 && !w.Apart && f.most <= 2 && w.lasts() > time.Minute
}

// livesShort reports whether RPCs take about as long to get their credentials and to reach a server
// as that keeps a connection.
func (w *World) livesShort() bool {
	return w.credentials() > 0 && w.livesLess(2*(w.credentials()+w.roundTrip()))
}

// leastSlow is how much longer all servers take.
func (w *World) leastSlow() time.Duration {
	return slices.MinFunc(w.Servers, func(a, b Server) int { return cmp.Compare(a.Slow, b.Slow) }).Slow
}

// slow is how much longer any server takes.
func (w *World) slow() (d time.Duration) {
	for _, s := range w.Servers {
		d = max(d, s.Slow)
	}
	return d
}

// quickest is how much longer the quickest server takes.
func (w *World) quickest() time.Duration {
	return slices.MinFunc(w.Servers, func(a, b Server) int { return cmp.Compare(a.Slow, b.Slow) }).Slow
}

// streams is how many long ones there are.
func (w *World) streams() (n int) {
	for _, c := range w.Callers {
		n += c.Streams
	}
	return n
}

// young is for how long a server allows new connections fewer streams than later.
func (w *World) young() (d time.Duration) {
	for i, s := range w.Servers {
		l := s.Limit
		if l.Then != 0 && l.Then < l.Streams {
			d = max(d, l.Back)
		}
		if 0 < l.Streams && l.Streams < l.Then { // where it allows one, the health checking may take that
			d = max(d, l.After)
		}
		sets := func(e Event) bool { return e.What == SetLimit && (e.Server < 0 || e.Server == i) }
		if l.Then != 0 && slices.ContainsFunc(w.Events, sets) { // what a connection does later ends that
			d = max(d, l.After)
		}
	}
	return d
}

// hasOne reports whether the pool may grow, but has no reason to.
func (w *World) hasOne() bool {
	least, _ := w.sizes()
	return least <= 1 && !w.limited() && !w.has("targetStreams")
}

// queueOfOld is how long RPCs may be queued, all that come after half an hour of silence, in connections
// that are not young, where the server allows fewer streams.
func (w *World) queueOfOld() (d time.Duration) {
	for _, s := range w.Servers {
		for _, c := range w.Callers {
			if l := s.Limit; 0 < l.Then && l.Then < l.Streams && l.Back == 0 && c.From > 30*time.Minute {
				d = max(d, time.Duration(float64(w.come(c.For)/(l.Then*w.most())+1)*float64(c.Takes*3/2+w.roundTrip())))
			}
		}
	}
	return d
}

// endsAgainWithin reports whether all connections of a server are ended twice within a time.
func (w *World) endsAgainWithin(d time.Duration) bool {
	least, _ := w.sizes()
	ends := func(e Event) bool { return e.What == End || e.What == EndOne && least <= 1 }
	for i, e := range w.Events {
		for _, o := range w.Events[:i] {
			if ends(e) && ends(o) && e.Server == o.Server && (e.At-o.At).Abs() < d {
				return true
			}
		}
	}
	return false
}

// ends reports whether the event ends connections.
func (e Event) ends() bool {
	return e.What == End || e.What == EndOne || e.What == Restart || e.What == RefuseStream
}

// ends is how many events end connections.
func (w *World) ends() (n int) {
	for _, e := range w.Events {
		if e.ends() {
			n++
		}
	}
	return n
}

// refusals is how many events end connections in a way that refuses RPCs, which gRPC repeats.
func (w *World) refusals() (n int) {
	for _, e := range w.Events {
		if e.What == RefuseStream || e.ends() && (e.Ending == Final || e.Ending == TwoStep || e.Ending == EnterIdle) {
			n++
		}
	}
	return n
}

// endsAgain is how many events end connections, not gracefully, while RPCs are on their way again that
// met an earlier one.
func (w *World) endsAgain() (n int) {
	longest := w.handshake() + w.slow()
	for _, c := range w.Callers {
		longest = max(longest, w.handshake()+w.slow()+c.Takes*3/2+c.Creds)
	}
	for i, e := range w.Events {
		if e.ends() && e.Server < 0 && w.Apart { // an RPC that one server refused goes to another one
			n++
		}
		if e.ends() && e.Ending != Graceful && slices.ContainsFunc(w.Events, func(o Event) bool {
			return o.ends() && o.At <= e.At && e.At-o.At < longest+o.For && o != w.Events[i]
		}) {
			n++
		}
	}
	return n
}

// endsEvenly is the time from one event to the next where three or more end all connections of all servers
// by GOAWAYs, at an even pace; 0 if none do.
func (w *World) endsEvenly() time.Duration {
	var at []time.Duration
	for _, e := range w.Events {
		if e.What == End && !e.Ending.losesRPCs() && (e.Server < 0 || len(w.Servers) == 1) {
			at = append(at, e.At)
		}
	}
	if len(at) < 3 || at[1]-at[0] != at[2]-at[1] {
		return 0
	}
	return at[1] - at[0]
}

// meetAgain is how many RPCs, at most, are lost for an event that breaks all connections off just when
// callers call again that all waited after an earlier one.
func (w *World) meetAgain() (n int) {
	least, _ := w.sizes()
	breaksAll := func(e Event) bool {
		all := e.What == End || e.What == Restart || e.What == EndOne && least <= 1
		return all && e.Ending.losesRPCs() && (e.Server < 0 || len(w.Servers) == 1)
	}
	for i, e := range w.Events {
		for _, c := range w.Callers {
			takes, turn := float64(c.Takes+w.roundTrip()), float64(c.Pause+c.Takes+w.roundTrip())
			if c.Loop > 0 && breaksAll(e) && slices.ContainsFunc(w.Events[:i], func(o Event) bool {
				turns := float64(e.At-o.At-o.For-w.handshake()) / turn
				off, spread := math.Abs(turns-math.Round(turns))*turn, takes*(1+math.Sqrt(math.Abs(turns))/2)
				return breaksAll(o) && turns > 0.5 && off < spread && spread < turn/4
			}) {
				n += int(math.Ceil(float64(c.Loop) * min(1, float64(w.handshake()+e.For)/turn))) // those that waited
			}
		}
	}
	return n
}

// closesSilent reports whether a server closes silent connections without a GOAWAY.
func (w *World) closesSilent() bool {
	return slices.ContainsFunc(w.Servers, func(s Server) bool { return s.Idle > 0 && s.Ending.losesRPCs() })
}

// drifts reports whether all connections may come to be of the server that fails all RPCs, for another
// one ends them.
func (w *World) drifts() bool {
	i := w.fails()
	return i >= 0 && !w.Apart && w.shortest() > 0 && w.Servers[i].Age == 0 && w.Servers[i].Idle == 0
}

// flapFor is how long servers accept and close connections, in all.
func (w *World) flapFor() (d time.Duration) {
	for _, e := range w.Events {
		if e.What == Flap {
			d += e.For
		}
	}
	return d
}

// breaks is how many events break off connections.
func (w *World) breaks() (n int) {
	for _, e := range w.Events {
		if e.ends() && e.What != RefuseStream && e.Ending.losesRPCs() {
			n++
		}
	}
	return n
}

// rounds is how often connections are ended, all of them or some, if the pool has them in turn.
func (w *World) rounds(f *figures) int {
	n := w.ends()
	if life := w.shortest(); life > 0 {
		n += int(w.calls()/life) + 1
	}
	for _, s := range w.Servers {
		if s.Cap > 0 {
			return n + f.rpcs/(s.Cap*w.most()) + 1
		}
	}
	return n
}

// lowers is how many times more streams a server allows at first than later, at least 1.
func (w *World) lowers() (times int) {
	times = 1
	for _, s := range w.Servers {
		switch then := s.Limit.Then; {
		case then > 0:
			times = max(times, min(10, s.Limit.Streams/then))
		case then < 0: // none, for a while
			times = max(times, 2)
		}
	}
	for _, e := range w.Events {
		if e.What == SetLimit && e.Limit > 0 && w.waitedJustBefore(e.At) {
			times = 10
		}
	}
	return times
}

// waitedJustBefore reports whether all RPCs waited for a dial which are on one connection at that time.
func (w *World) waitedJustBefore(at time.Duration) bool {
	d := w.handshake() + w.slow() + w.credentials()
	return slices.ContainsFunc(w.Events, func(e Event) bool { return e.ends() && e.At <= at && at-e.At < d+e.For })
}

// anyAllowsNone reports whether some server allows no streams any more.
func (w *World) anyAllowsNone() bool {
	for i := range w.Servers {
		if w.allowsNone(i) {
			return true
		}
	}
	return false
}

// closesAfterAnother reports whether a server allows no streams any more, after another one allowed none
// that allows some again.
func (w *World) closesAfterAnother() bool {
	closes := func(forEver bool) func(Event) bool {
		return func(e Event) bool {
			return e.What == SetLimit && e.Limit == 0 && e.Server >= 0 && w.allowsNone(e.Server) == forEver
		}
	}
	first, last := slices.IndexFunc(w.Events, closes(false)), slices.IndexFunc(w.Events, closes(true))
	return first >= 0 && last >= 0 && w.Events[first].At < w.Events[last].At
}

// closedFor is how long a server allows no streams, that allows some before and after; at most one
// such while of each connection.
func (w *World) closedFor() (d time.Duration) {
	for i, s := range w.Servers {
		if s.Fails != codes.OK {
			continue
		}
		d = max(d, w.eventsClose(i))
		if s.Limit.Then < 0 {
			d = max(d, s.Limit.Back)
		}
	}
	return d
}

// eventsClose is for how long events have a server allow no streams, at the longest.
func (w *World) eventsClose(i int) (longest time.Duration) {
	events := slices.Clone(w.Events)
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	closed := false
	var since time.Duration
	for _, e := range events {
		switch {
		case e.What != SetLimit || e.Server >= 0 && e.Server != i:
		case e.Limit == 0 && !closed:
			closed, since = true, e.At
		case e.Limit > 0 && closed:
			closed, longest = false, max(longest, e.At-since)
		}
	}
	return longest
}

// limitsLate reports whether some server ends connections, and states its limit of streams on each with
// its first answer.
func (w *World) limitsLate() bool {
	return slices.ContainsFunc(w.Servers, func(s Server) bool { return s.Limit.Late && (s.Age > 0 || s.Idle > 0) })
}

// anyServesOn reports whether a server fails no RPC, and ends no connection after some.
func (w *World) anyServesOn() bool {
	return slices.ContainsFunc(w.Servers, func(s Server) bool { return s.Fails == codes.OK && s.Few == 0 })
}

// endsOf reports whether an event ends connections of that server.
func (w *World) endsOf(i int) bool {
	return slices.ContainsFunc(w.Events, func(e Event) bool { return e.ends() && (e.Server < 0 || e.Server == i) })
}

// answersNotFound reports whether some server gives that answer to all RPCs.
func (w *World) answersNotFound() bool {
	return slices.ContainsFunc(w.Servers, func(s Server) bool { return s.Fails == codes.NotFound })
}

// few is the least number of RPCs after which a server ends a connection; 0 is no bound.
func (w *World) few() (n int) {
	for _, s := range w.Servers {
		n = lesser(n, s.Few)
	}
	return n
}

// breaksOff reports whether a server ends connections of an age with RPCs on them.
func (w *World) breaksOff() bool {
	return slices.ContainsFunc(w.Servers, func(s Server) bool { return s.Age > 0 && s.Ending.losesRPCs() })
}

// ages reports whether a server ends connections of an age.
func (w *World) ages() bool {
	return slices.ContainsFunc(w.Servers, func(s Server) bool { return s.Age > 0 })
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
func (w *World) asked(ours *figures) int {
	return w.sum(ours, nil, func(d difference) more { return d.dials })
}

// lost is how many failures more they allow. In an outage RPCs fail that do not wait for ready.
func (w *World) lost(ours, plain *figures) int {
	return w.sum(ours, plain, func(d difference) more { return d.lost }) + min(ours.rpcs, w.missed(w.outage()))
}

// missed is how many RPCs fail in that time, at most, if each fails at once that does not wait.
func (w *World) missed(d time.Duration) (most int) {
	for _, c := range w.Callers {
		n, d := 0, min(d, c.For)
		switch {
		case c.Wait || d == 0:
		case c.Streams > 0: // all begin at once
			n = c.Streams
		case c.Loop > 0:
			n = c.Loop * (int(d/max(afterFailure, c.Pause)) + 1)
		case c.Rate > 0:
			n = int(c.Rate*d.Seconds()) + max(1, c.Burst)
		}
		most = max(most, n)
	}
	return most
}

// come is how many RPCs there are in that time, at most.
func (w *World) come(d time.Duration) (n int) {
	for _, c := range w.Callers {
		n += c.Loop + c.Streams + max(1, c.Burst) + int(c.Rate*min(d, c.For).Seconds())
	}
	return n
}

// comeLater is how many of those come after a silence.
func (w *World) comeLater(d time.Duration) int {
	later := *w
	later.Callers = slices.DeleteFunc(slices.Clone(w.Callers), func(c Callers) bool { return c.From < time.Minute })
	return later.come(d)
}

// lateMore is how many RPCs more whose short deadline was over they allow.
func (w *World) lateMore(ours, plain *figures) int {
	return w.sum(ours, plain, func(d difference) more { return d.late })
}

func (w *World) sum(ours, plain *figures, which func(difference) more) (n int) {
	for _, d := range meant {
		if of := which(d); of != nil && d.when(w) {
			n += of(w, ours, plain)
		}
	}
	return n
}

// slower is how much longer an RPC may take than with these plain channels.
func (w *World) slower(plain *figures) (sum time.Duration) {
	for _, d := range meant {
		if d.slower != nil && d.when(w) {
			sum += d.slower(w, plain)
		}
	}
	return sum
}

// pause is how long RPCs may wait, or fail, beyond what is compared.
func (w *World) pause() time.Duration { return max(w.anyPause(), w.outage()) }

// anyPause is that which may come at any time.
func (w *World) anyPause() (longest time.Duration) {
	for _, d := range meant {
		if d.pause != nil && d.when(w) {
			longest = max(longest, d.pause(w))
		}
	}
	return longest
}

// refusesDials reports whether a server refuses some.
func (w *World) refusesDials() bool { return w.happens(Restart) || w.happens(Refuse) }

// outage is that which follows an event.
func (w *World) outage() (longest time.Duration) {
	for _, d := range meant {
		if d.outage != nil && d.when(w) {
			longest = max(longest, d.outage(w))
		}
	}
	return longest
}

// inStep reports whether callers that waited together call in bursts from then on, between which there
// are windows without any.
func (w *World) inStep() bool {
	return slices.ContainsFunc(w.Callers, func(c Callers) bool { return c.Loop > 0 && c.Pause > window })
}

// inOutage reports whether RPCs of a window may wait for that.
func (w *World) inOutage(at int) bool {
	from, outage := time.Duration(at)*window, w.outage()
	return outage > 0 && slices.ContainsFunc(w.Events, func(e Event) bool {
		bad := e.What == Flap || e.What == Refuse || e.What == Hang || e.What == Restart && e.For > 0
		return bad && e.At < from+window && (w.inStep() || from <= e.At+e.For+outage)
	})
}
