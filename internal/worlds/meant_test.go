package worlds

import (
	"slices"
	"time"

	"google.golang.org/grpc/codes"
)

// A difference that is not held against the pool: a setting asks for it, the law says so, or it
// is chance. The table is copied to docs/reliability.md, "Differences that are meant".
type difference struct {
	name   string
	when   func(*World) bool
	code   codes.Code // RPCs that fail by it are not held against the pool; OK is none
	dials  more       // that it explains
	lost   more       // RPCs
	late   more       // RPCs whose short deadline was over
	slower func(w *World, plain *figures) time.Duration
	pause  func(*World) time.Duration // for which RPCs may wait at any time: throughput is not compared
	outage func(*World) time.Duration // for which they may wait, or fail, after an event, when throughput is not compared
	reason string
}

// A more is how many more there may be than with these plain channels.
type more func(w *World, ours, plain *figures) int

var meant = []difference{
	{
		name: "maxPending",
		when: func(w *World) bool { return w.has(`"maxPending"`) && w.limited() },
		code: codes.ResourceExhausted,
		lost: func(w *World, f, _ *figures) int {
			if i := w.fails(); i >= 0 {
				return min(f.shares[i], f.failed[w.Servers[i].Fails])
			}
			return 0
		},
		reason: "maxPending asks that an RPC ends at once rather than waits for a stream. One that may not wait goes to the server that has room, even if that one fails RPCs",
	},
	{
		name: "renewal",
		when: func(w *World) bool { return w.has(`"maxLifetime"`) },
		dials: func(w *World, f, _ *figures) int {
			const shortest = 400 * time.Millisecond * 3 / 4
			return int(f.lasted/shortest+1) * (w.most() + 1)
		},
		lost: func(w *World, f, _ *figures) int {
			if i := w.fails(); i >= 0 && !w.Apart && (w.Servers[i].Few > 0 || w.endsOf(i)) && w.anyServesOn() { // plain channels are driven off it
				return min(f.rpcs/len(w.Servers), f.failed[w.Servers[i].Fails])
			}
			if w.limited() { // those that are still queued in plain channels
				return w.breaks() * w.streams()
			}
			return 0
		},
		pause: func(w *World) time.Duration {
			if w.young() == 0 {
				return 0
			}
			return w.young() + 400*time.Millisecond // and once more
		},
		late: func(w *World, f, _ *figures) int {
			if w.young() == 0 {
				return 0
			}
			return w.short(f.rpcs)
		},
		reason: "maxLifetime asks for a new connection in place of an old one. What a server does to young connections RPCs meet each time: no streams for a while, a lower limit, a health checking that takes the only stream. Of several servers behind one address they meet each in turn, even one that fails all RPCs. Where long streams are queued at a lower limit, a plain channel's may never begin, and the pool's, which have begun, are lost when the server ends connections",
	},
	{
		name: "refresh",
		when: func(w *World) bool { return !w.FewDials && w.lasts() > time.Minute },
		dials: func(w *World, f, _ *figures) int {
			return int(f.lasted/(3*time.Minute)+1) * w.most()
		},
		pause:  (*World).young,
		slower: func(w *World, _ *figures) time.Duration { return w.queueOfOld() },
		lost: func(w *World, f, _ *figures) int {
			i := w.fails()
			switch {
			case w.meetsAnother(f):
				return min(f.shares[i], f.failed[w.Servers[i].Fails])
			case i >= 0 && !w.Apart && w.endsOf(i): // with plain channels as the last end has left them
				return min(f.rpcs/len(w.Servers), f.failed[w.Servers[i].Fails])
			}
			return 0
		},
		reason: "a silent connection is replaced before idleTimeout, for a middlebox may have dropped it. The new one may come to another server behind the same address, which may fail all RPCs, and meets what a server does to young connections. If the server lowers its limit later, RPCs are queued at the lower limit, where a plain channel that was idle for half an hour dials anew",
	},
	{
		name: "kept open",
		when: func(w *World) bool { return !w.FewDials && w.shortest() > 0 },
		dials: func(w *World, f, _ *figures) int {
			least, most := w.sizes()
			n := int(f.lasted/w.shortest()+1) * least
			if least < most { // idleTimeout ÷ 8 is 30 s
				n += len(w.Callers) * int(min(30*time.Second, f.lasted)/w.shortest()+1) * most
			}
			if least < most && w.leaked() > 0 && w.leastLimit() > 0 {
				n += int(f.lasted/w.shortest()) * min(most, w.leaked()/w.leastLimit()+1)
			}
			return n * len(w.Servers)
		},
		lost: func(w *World, f, plain *figures) int {
			n := w.breaks()
			if w.closesSilent() {
				n++
			}
			if least, _ := w.sizes(); least > 0 && w.breaksOff() && w.Warm > w.shortest() {
				n++
			}
			n = min(f.failed[codes.Unavailable], n*plain.flying)
			if i := w.fails(); w.drifts() {
				n += min(f.shares[i], f.failed[w.Servers[i].Fails])
			}
			if w.limitsLate() && plain.failed[codes.DeadlineExceeded] > 0 {
				n += min(f.failed[codes.DeadlineExceeded], w.come(w.handshake()))
			}
			return n
		},
		slower: func(w *World, _ *figures) time.Duration { return w.credentials() },
		reason: "minSize asks that so many connections are open, and the demand of the last idleTimeout ÷ 8 may call for more. One that the server ends for its age or for silence is made again, where a plain channel waits for the next RPC. So the server may end connections where plain channels have none: an RPC that is sent just then is lost, or gets its credentials again. Behind an L4 balancer all may come to a server that ends none, and fails all RPCs. And where a limit is stated with the first answer only, fewer RPCs run before that",
	},
	{
		name: "flow on",
		when: func(w *World) bool {
			return w.few() > 0 || w.breaksOff() || w.fails() >= 0 || w.happens(Darken)
		},
		lost: func(w *World, f, plain *figures) int {
			switch {
			case w.few() > 0:
				each := min(f.each, plain.each)
				if left := max(1, w.most()-1); f.good() >= plain.good()*4/5 { // those left have the RPCs of one, too
					each = (plain.each*w.most() + left - 1) / left
				}
				n := min(f.made, plain.made*max(f.rpcs, plain.rpcs)/max(1, plain.rpcs)) * each
				// Plain channels' callers wait instead.
				if i := w.fails(); i >= 0 && !w.Apart && w.Servers[i].Few == 0 && f.good() >= plain.good()*9/10 {
					n += max(0, min(f.shares[i], f.rpcs-plain.rpcs))
				}
				return n
			case w.endsUnproven() && w.happens(Darken):
				return f.rpcs
			}
			if w.happens(Darken) && w.ends() > 0 { // of all that come while the others are dialled
				return plain.flying / 2
			}
			rounds := min((f.made-f.most+w.most()-1)/w.most(), w.rounds(f))
			if w.fails() >= 0 {
				if i := w.fails(); !w.Apart && w.leastCap() > 0 && w.Servers[i].Cap == 0 { // which ends none
					return min(f.shares[i], f.failed[w.Servers[i].Fails])
				}
				return w.streams() + int(float64(f.rpcs)*min(0.5, float64(rounds)*w.handshake().Seconds()/w.calls().Seconds()))
			}
			return rounds * plain.flying
		},
		slower: func(w *World, _ *figures) time.Duration {
			if w.few() > 0 {
				return 2 * w.credentials()
			}
			return 0
		},
		reason: "while a lost connection is made again its RPCs flow on over those that are left, instead of waiting. A server that closes each after so many answers, or at an age, then ends more of them; and what is left may be a server that fails all RPCs, or a connection that is dark. Long streams stay on servers that do not fail them, so these get fewer RPCs. A connection that is ended within 100 ms without an RPC is made again with gRPC's backoff",
	},
	{
		name: "before it is known",
		when: func(w *World) bool {
			return w.fails() >= 0 && w.limited() || w.leastCap() > 0
		},
		lost: func(w *World, f, plain *figures) int {
			if w.Health && w.leastCap() == 3 { // two RPCs, and the stream of the health checking
				return min(f.failed[codes.Unavailable], f.made*plain.flying/w.most()/2)
			}
			if n := w.leastCap(); n > 0 { // gRPC repeats each once
				return max(plain.flying/2, plain.flying-2*n)
			}
			return plain.flying / 2
		},
		pause: func(w *World) time.Duration {
			if w.Health && w.leastCap() == 3 {
				return w.handshake()
			}
			return 0
		},
		reason: "a server that fails all RPCs is known when it has failed one: all that come before, and find the others at their stream limit, go there. A server that ends each connection after so many RPCs is known when two ends agree, and never if that is one or two RPCs. Until then all that waited for a connection meet the first one that is there, where N channels have one each",
	},
	{
		name: "an even pace",
		when: func(w *World) bool { return w.endsEvenly() > 0 },
		dials: func(w *World, f, _ *figures) int {
			return min(int(w.calls()/w.endsEvenly()+1)*w.most(), f.rpcs/3)
		},
		reason: "a server that ends all connections three times, as long after each other, ends connections that carried equally many RPCs. That looks like a limit on RPCs, so connections are renewed after as many, until one carries more and is not ended",
	},
	{
		name: "no streams for a while",
		when: func(w *World) bool {
			return w.closedFor() > 0 && (w.fails() >= 0 || w.ages() || w.streams() > 0 || w.leastCap() > 0 || w.ends() > 0)
		},
		lost: func(w *World, f, plain *figures) int {
			switch {
			case w.fails() < 0 && !w.ages() && w.ends() > 0: // that allows none when all others are queued
				return min(f.failed[codes.DeadlineExceeded], f.rpcs/w.most())
			case w.fails() < 0 && !w.ages():
				return 0
			case w.fails() < 0:
				return plain.failures() * min(w.most(), max(0, f.made-plain.made)) / max(1, plain.made)
			}
			came := int(float64(f.rpcs) * min(1, w.closedFor().Seconds()/w.calls().Seconds()))
			return min(came, f.failed[w.Servers[w.fails()].Fails])
		},
		slower: func(w *World, plain *figures) (d time.Duration) {
			if w.leastCap() > 0 { // whether connections live so long is chance
				d = w.closedFor()
			}
			for _, c := range w.Callers {
				if c.Streams > 0 && plain.slowest > c.For { // there some wait for them, too
					d += c.For * time.Duration(c.Streams/max(1, w.leastLimit()))
				}
			}
			return d
		},
		reason: "RPCs go to a server that has room rather than wait for one that allows no streams, which may last for ever: even if that one fails them all, or ends connections. RPCs that were queued at one server stay there when the others allow streams again, and may meet their deadlines, for gRPC moves none. Where a server ends each connection after so many RPCs, those of a pool may live until it allows none",
	},
	{
		name: "first there",
		when: func(w *World) bool { return w.endsAgain() > 0 },
		lost: func(w *World, f, plain *figures) int {
			return min(f.failed[codes.Unavailable], w.endsAgain()*plain.flying)
		},
		slower: func(w *World, _ *figures) time.Duration { return time.Duration(min(2, w.endsAgain())) * w.handshake() },
		reason: "all that waited for a connection meet the first one that is there, where N channels have one each. If that is soon ended in its turn, they are lost together, or wait once more, each time that it happens",
	},
	{
		name: "dialled sooner",
		when: func(w *World) bool {
			return w.endsAgain() > 0 && w.most() == 1 || w.meetAgain() > 0 || w.ends() > 0 && w.refusesDials() ||
				w.hasOne() && w.endsAgainWithin(w.handshake()+w.credentials())
		},
		dials: func(w *World, _, _ *figures) int {
			if w.refusesDials() {
				return w.ends() * w.most()
			}
			return 0
		},
		lost: func(w *World, f, _ *figures) int { return min(f.failed[codes.Unavailable], w.meetAgain()) },
		pause: func(w *World) time.Duration {
			if w.endsAgain() > 0 && w.most() == 1 {
				return w.handshake()
			}
			return 0
		},
		slower: func(w *World, _ *figures) time.Duration {
			if w.credentials() > 0 && w.hasOne() && w.endsAgainWithin(w.handshake()+w.credentials()) {
				return time.Duration(w.ends()) * (w.handshake() + w.credentials())
			}
			return 0
		},
		reason: "a lost connection is dialled at once, and may be there when the server ends all it has again. A plain channel dials when the next RPC comes, so its connection may not be there yet, and lives on; or it backs off meanwhile, and its RPCs fail. Callers that waited for the dial all call when it is over, and again after their pause: the next end may meet them all",
	},
	{
		name: "flap",
		when: func(w *World) bool { return w.happens(Flap) },
		dials: func(w *World, _, _ *figures) int {
			flaps := 0
			for _, e := range w.Events {
				if e.What == Flap {
					flaps++
				}
			}
			return flaps*w.most() + int(w.flapFor()/(2*max(w.handshake(), 10*time.Millisecond)))
		},
		outage: func(w *World) time.Duration {
			return w.handshake() + 1200*time.Millisecond
		},
		lost: func(_ *World, f, plain *figures) int {
			return plain.flying * max(1, 1+(f.dials-f.made)-(plain.dials-plain.made))
		},
		slower: func(w *World, plain *figures) time.Duration {
			if w.limited() {
				return plain.slowest / 4
			}
			return 0
		},
		reason: "an endpoint whose server accepts and closes is dialled one attempt at a time, once each lost connection was dialled. How many attempts there are is chance, and all RPCs that waited for one are lost with it. At a stream limit they are queued in the first connections, and wait longer there than in N channels",
	},
	{
		name: "shorter than a dial",
		when: func(w *World) bool {
			return w.livesLess(w.handshake()) || w.endsAgainWithin(w.handshake()*11/10+w.roundTrip())
		},
		pause:  func(w *World) time.Duration { return w.handshake() },
		reason: "of a server that ends connections sooner than one can be dialled, or just then, few are there at any time; each is followed by one attempt at a time, as after a flap, and RPCs wait for it",
	},
	{
		name: "held for a dial",
		when: func(w *World) bool {
			return w.limited() || w.leastCap() > 0 && w.handshake() >= time.Second
		},
		pause: func(w *World) time.Duration { return min(w.handshake(), time.Second) },
		slower: func(w *World, plain *figures) time.Duration {
			if w.handshake() < time.Second || !w.has(`"maxPending"`) {
				return 0
			}
			return plain.slowest * time.Duration(w.most()-1) / 2
		},
		lost: func(w *World, f, plain *figures) int {
			if w.handshake() < time.Second || !w.has(`"maxPending"`) {
				return 0
			}
			return min(f.failed[codes.DeadlineExceeded]+f.failed[codes.Unavailable], plain.flying/2)
		},
		late: func(w *World, _, _ *figures) (n int) {
			for _, c := range w.Callers {
				if alone := (&World{Callers: []Callers{c}}); w.limited() && c.ShortOneIn > 0 && c.Creds > 0 {
					n += alone.come(min(w.handshake(), time.Second)) / c.ShortOneIn
				}
			}
			return n
		},
		reason: "while a connection is made, RPCs that find every connection full are held for it, for a stream may never end: for 3 s at most, with maxPending 1 s. Then they are queued in those that are there: some may meet their deadlines, or be refused again. An RPC that waits for its credentials counts as in flight, so RPCs may be held where a plain channel sends them",
	},
	{
		name: "one backoff",
		when: func(w *World) bool {
			return w.happens(Refuse) || w.happens(Hang) || slices.ContainsFunc(w.Events, func(e Event) bool { return e.What == Restart && e.For > 0 })
		},
		outage: func(w *World) time.Duration {
			longest, refused := 1200*time.Millisecond, 800*time.Millisecond // the first backoff, ± 20 %
			for refused < w.refusedFor() && longest < 5*time.Second {
				longest = longest * 8 / 5
				refused += longest * 2 / 3
			}
			return longest + w.handshake()
		},
		lost: func(w *World, f, _ *figures) int {
			if i := w.fails(); i >= 0 {
				return min(f.failed[w.Servers[i].Fails], w.come(w.refusedFor()+w.handshake()+1200*time.Millisecond))
			}
			return 0
		},
		reason: "a dial that is refused is followed by gRPC's backoff, of which an endpoint has one, and N channels N. Whose dial is refused, and which of N is back first, is chance. All that waited meet the first connection: if its server fails all RPCs they fail together, and if they pause they call in step from then on",
	},
	{
		name: "idle",
		when: func(w *World) bool { least, _ := w.sizes(); return least == 0 },
		pause: func(w *World) time.Duration {
			d := w.young()*3/2 + w.handshake() // for those that are queued meanwhile
			if w.limited() {
				d += w.handshake()
			}
			return d
		},
		lost: func(w *World, f, _ *figures) int {
			if w.few() == 0 {
				return 0
			}
			return min(f.failed[codes.Unavailable], w.comeLater(w.handshake())/len(w.Servers))
		},
		late: func(w *World, f, _ *figures) (n int) {
			if !w.Apart && w.slow() > w.leastSlow() {
				n = w.short(f.rpcs)
			}
			return n + w.comeLater(w.young()+2*w.handshake())
		},
		reason: "minSize 0 asks that an unused pool is idle, and connects when it is used again. All that came meanwhile meet the new connections together, and what a server does to young ones: it closes each after so many answers, allows no streams for a while, or is slow. At a stream limit they wait for one more dial. A short deadline may be over before",
	},
	{
		name:   "growth",
		when:   func(w *World) bool { least, most := w.sizes(); return least < most && w.limited() },
		dials:  func(w *World, _, _ *figures) int { return w.ends() * w.most() },
		pause:  (*World).young,
		reason: "an elastic pool makes connections when they are needed: what a server does to young ones RPCs meet then, and not before the callers begin; and it makes again those that a server ends",
	},
	{
		name:   "answers",
		when:   func(w *World) bool { return w.answersNotFound() },
		code:   codes.NotFound,
		reason: "an answer of the application is one, whatever its code: of two servers the one that answers sooner carries fewer RPCs at a time, and gets the next one. Where the application answers all RPCs as a server in trouble would, only failures are compared",
	},
	{
		name: "which connection",
		when: func(w *World) bool { return w.loses() || w.anyAllowsNone() || w.fails() >= 0 || w.refusals() > 1 },
		lost: func(w *World, f, plain *figures) int {
			if !w.loses() && !w.anyAllowsNone() {
				n := max(0, w.refusals()-1) * plain.each / 2
				if w.fails() >= 0 { // its fair share
					n = max(n, f.rpcs/len(w.Servers)-plain.failures()) + 1
				}
				return n
			}
			if w.closesAfterAnother() {
				return plain.flying / 2
			}
			return plain.each + 1
		},
		reason: "which connection a server ends with RPCs on it, or allows no stream, is chance: those of one are lost more, or less. An RPC that two connections refuse is lost. A server that fails all RPCs may get its fair share and one more, though plain channels whose connections it ended were away. Where one server allows none for a while, and then another one for ever, plain channels' callers may all wait at the first",
	},
	{
		name: "short deadlines",
		when: func(w *World) bool {
			return slices.ContainsFunc(w.Callers, func(c Callers) bool { return c.ShortOneIn > 0 })
		},
		late:   func(_ *World, ours, plain *figures) int { return max(ours.rpcs, plain.rpcs)/50 + plain.each/2 },
		reason: "an RPC may wait a handshake and 50 ms longer: one in fifty may so meet a deadline that is shorter, and those of one connection",
	},
	{
		name: "which is done again",
		when: func(w *World) bool {
			return w.ages() || w.limited() || w.refusals() > 0
		},
		slower: func(w *World, _ *figures) (d time.Duration) {
			for _, c := range w.Callers {
				d = max(d, c.Takes*3/2)
				if c.Streams > 0 {
					d = max(d, c.For)
				}
			}
			if w.refusals() > 0 && slices.ContainsFunc(w.Servers, func(s Server) bool { return s.Limit.Late }) {
				d += w.calls() / 2
			}
			return d + w.slow()
		},
		reason: "an RPC that a GOAWAY refuses is done again. At a stream limit another one may come first, and it waits once more as long: which ones is chance. Where a server states its limit with the first answer, RPCs that come before run without one, and those done again wait in the queue",
	},
	{
		name:   "refused again",
		when:   func(w *World) bool { return w.leastCap() > 0 },
		slower: func(w *World, _ *figures) time.Duration { return w.handshake() },
		reason: "an RPC that a GOAWAY refused waits for a connection that is dialled after it, where another plain channel may have one already",
	},
	{
		name: "an unfair queue",
		when: func(w *World) bool { return w.limited() || w.leastCap() > 0 },
		lost: func(w *World, f, plain *figures) int {
			n, late := plain.failed[codes.DeadlineExceeded]/50, f.failed[codes.DeadlineExceeded]
			if lowers := w.lowers(); lowers > 1 && plain.slowest*time.Duration(2+lowers)/2 > deadline {
				n = max(n, min(late, f.rpcs/2)) // those that wait as much longer meet it
			}
			return n
		},
		slower: func(w *World, plain *figures) time.Duration {
			switch n := w.lowers(); {
			case n > 1:
				return plain.slowest * time.Duration(n) / 2
			case w.limited() && w.ends() > 0: // then they are queued anew, the last ones first
				return plain.slowest / 2
			case w.limited():
				return plain.slowest / 4
			case plain.flying >= w.leastCap()-1 && (w.most() == 1 || w.hasOne() && plain.flying <= w.leastCap()+1):
				return w.calls()
			case plain.flying >= w.leastCap()-1: // one may be left for the health checking
				return 3 * plain.slowest / 2
			}
			return 0
		},
		reason: "gRPC's queue at the stream limit is not in turn: how long the unluckiest waits is chance, to within a quarter, or a half where connections end, and how many meet their deadlines there, to within one in fifty. RPCs are queued by the limits of that time: where a server lowers one they wait as much longer, and may meet their deadlines. Those that wait for a picker gRPC wakes last come, first served",
	},
	{
		name: "short lives",
		when: func(w *World) bool { return w.livesShort() || w.endsUnproven() || w.endsWhileDialled() },
		lost: func(w *World, f, plain *figures) int {
			n := f.rpcs / 20
			if w.Apart { // the connection of another server is as old
				n = f.rpcs / 5
			}
			switch {
			case w.livesLess(w.roundTrip()):
				n = f.rpcs
			case w.livesLess(w.roundTrip() * 5 / 4):
				n = f.rpcs / 2
			case w.livesLess(2 * w.roundTrip()):
				n = f.rpcs / 5
			}
			if w.endsWhileDialled() {
				n = max(n, plain.failures()/3)
			}
			for _, c := range w.Callers {
				if w.livesShort() && c.SlowOneIn > 0 {
					n += f.rpcs / c.SlowOneIn
				}
			}
			if w.livesLess(w.credentials()) {
				return n
			}
			return min(f.failed[codes.Unavailable], n)
		},
		slower: func(w *World, _ *figures) time.Duration {
			if w.livesLess(w.credentials()) {
				return deadline
			}
			if w.livesLess(w.roundTrip() * 5 / 4) {
				return 2*w.credentials() + 3*w.handshake()
			}
			return 2 * w.credentials()
		},
		reason: "where a connection lives hardly longer than an RPC takes to get its credentials and to reach the server, RPCs are refused more than once, and gRPC repeats them once: how many is chance. Of lives below 100 ms, or two dials, one RPC in twenty may be lost, of servers with an address each one in five, and a third more than with plain channels; below two round trips one in five; below one and a quarter one in two, and those that are not wait for three more dials; below one, all. An RPC whose credentials take longer than a connection lives has none when it needs one, in a plain channel, too",
	},
	{
		name:   "leaked streams",
		when:   func(w *World) bool { n := w.leastLimit(); return n > 0 && w.leaked() >= n },
		lost:   func(_ *World, f, plain *figures) int { return min(f.failed[codes.DeadlineExceeded], plain.flying/2) },
		reason: "streams that are never read keep their places. Where as many as a server allows on a connection meet on one, which is chance, RPCs that are queued there wait until their deadlines",
	},
	{
		name: "leaked streams, slower servers",
		when: func(w *World) bool {
			return w.leaked() > 0 && w.slow() > w.leastSlow() && !w.has("round_robin")
		},
		pause:  (*World).slow,
		reason: "a stream that is never read is in flight for ever: the connection that has fewer gets the next RPC, though its server is slower",
	},
	{
		name: "dark",
		when: func(w *World) bool { return w.happens(Darken) },
		lost: func(w *World, f, plain *figures) int {
			n := max(plain.each, f.each)
			if w.has("round_robin") { // all that come in its turn
				n = max(n, f.rpcs/max(1, f.most)+1)
			}
			return w.darkened() * n
		},
		slower: func(w *World, _ *figures) time.Duration { return w.Keepalive * 3 / 2 },
		reason: "which connection goes dark, how many RPCs it has, and when it was used last, is chance. A ping finds it out after its time and its timeout. One that is kept open may go dark where a plain channel has none, and the picker round_robin gives it its share of all RPCs",
	},
}
