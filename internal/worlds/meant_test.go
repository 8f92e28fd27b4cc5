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
		reason: "maxPending asks that RPCs end at once rather than wait for a stream of a server that states a limit; an RPC that may not wait goes to the server that has room, even if that one fails RPCs",
	},
	{
		name: "renewal",
		when: func(w *World) bool { return w.has(`"maxLifetime"`) },
		dials: func(w *World, f, _ *figures) int {
			const shortest = 400 * time.Millisecond * 3 / 4
			return int(f.lasted/shortest+1) * (w.most() + 1)
		},
		lost: func(w *World, f, _ *figures) int {
			if i := w.fails(); i >= 0 && !w.Apart && w.Servers[i].Few > 0 && w.anyServesOn() { // plain channels are driven off it
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
		reason: "maxLifetime asks for a new connection in place of an old one; what a server does to young connections, such as to allow them no streams for a while, RPCs meet each time, which may be longer than a short deadline, and of two servers behind one address both, even where one fails all RPCs and drives plain channels off, for it ends their connections. Where the health checking takes the only stream, RPCs have none until the limit is raised. And where a server lowers its limit on connections that are not young, long streams are queued in plain channels that are open with the pool, and are lost when it breaks off connections",
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
		reason: "a silent connection is replaced before idleTimeout, where a plain channel would keep one that a middlebox has dropped; what a server does to young connections, RPCs meet again, and a pool of one connection may meet another server behind an L4 balancer, which may be one that fails all RPCs. A pool of several is dealt anew over all servers, where plain channels may all have come to one that fails none. And where a server lowers its limit of streams on connections that are no longer young, RPCs are queued at the lower limit, where a plain channel that was idle for half an hour dials anew",
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
		reason: "minSize asks that so many connections are open, so one that the server ends for its age or for silence is made again, where a plain channel waits for the next RPC; and so is one that the demand of the last idleTimeout ÷ 8 called for, which streams that are never read do for ever where they reach the stream limit. Where the server closes silent connections without a GOAWAY, an RPC that is sent just then is lost; an idleTimeout below the server's own prevents that. An RPC that waits for its credentials then gets them again. And a server may break off connections where plain channels have none yet. Where a server ends connections, and another one behind the same address ends none but fails all RPCs, all may come to be of that one. Where it states its limit of streams with the first answer only, all that came while a plain channel dialled run without a limit, and the rest waits less",
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
		reason: "while a lost connection is made again its RPCs flow on over those that are left, instead of waiting; a server that closes each connection after so many answers, or at an age, then ends more of them, also of those on which RPCs begin again that were getting their credentials, and if another server fails all RPCs, or another connection is dark, that is what is left. Long streams stay on the servers that do not fail them, and so these servers get fewer RPCs. A connection that is ended within 100 ms without an RPC is made again with gRPC's backoff",
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
			return plain.flying / 2
		},
		pause: func(w *World) time.Duration {
			if w.Health && w.leastCap() == 3 {
				return w.handshake()
			}
			return 0
		},
		reason: "a server that fails all RPCs is known when it has failed one: all that come before, and find the others at their stream limit, go there. A server that ends each connection after so many RPCs is known when two ends agree, and where it takes one or two RPCs, or three streams with that of the health checking, it is never known; until then all that waited for a connection meet the first one that is there, where N channels have one each",
	},
	{
		name: "an even pace",
		when: func(w *World) bool { return w.endsEvenly() > 0 || w.endsInTurn() },
		dials: func(w *World, f, _ *figures) (n int) {
			if pace := w.endsEvenly(); pace > 0 {
				n = min(int(w.calls()/pace+1)*w.most(), f.rpcs/3)
			}
			if w.endsInTurn() { // all that come until those that come first have ended
				n = max(n, w.come(w.handshake()+w.slow()+w.takes()*3/2)/3)
			}
			return n
		},
		reason: "a server that ends all connections three times, as long after each other, or once where RPCs are dealt in turn, ends connections that carried equally many RPCs. That looks like one that ends each after so many, and they are renewed after as many until one is not ended that carried these",
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
		reason: "RPCs go to a server that has room rather than wait for one that allows no streams for a while, which may be for ever, even where that one fails them all. RPCs that are queued at one server meanwhile stay there when the others allow streams again. That takes longer, above all where they are long streams, and a server that ends connections at an age may end each once more. Where it ends each after so many RPCs, connections of a pool may live until it allows none, where those of plain channels just do not. And where it ends connections, all that waited for the last of the new ones are queued at that time in those that allow streams: the others stay empty, and RPCs meet their deadlines",
	},
	{
		name: "first there",
		when: func(w *World) bool { return w.endsAgain() > 0 },
		lost: func(w *World, f, plain *figures) int {
			return min(f.failed[codes.Unavailable], w.endsAgain()*plain.flying)
		},
		slower: func(w *World, _ *figures) time.Duration { return time.Duration(min(2, w.endsAgain())) * w.handshake() },
		reason: "all that waited for a connection meet the first one that is there, where N channels have one each; if that is soon ended in its turn, they are lost together, or wait once more, each time that it happens",
	},
	{
		name: "dialled sooner",
		when: func(w *World) bool {
			return w.endsAgain() > 0 && w.most() == 1 || w.meetAgain() > 0 || w.hasOne() && w.endsAgainWithin(w.handshake()+w.credentials())
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
		reason: "a lost connection is dialled at once, and may be there when the server ends all it has again; that of a plain channel, which is dialled when the next RPC comes, may not be there yet, and lives on; so may each one after it, while an RPC gets its credentials again. And callers that waited for the dial all call when it is over, and again after their pause: the next end may meet them all, where callers of plain channels are apart",
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
		reason: "an endpoint whose server accepts and closes is dialled one attempt at a time, once each connection that it has lost was dialled: how many attempts there are is chance, and all RPCs that waited for one are lost with it. At a stream limit they are queued where the first connections are, and wait longer there than in the queues of N channels",
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
		reason: "while a connection is made RPCs that find every connection full are held for it and not queued, for a stream may never end, with maxPending for a second at most; where dials take longer than that, those RPCs are queued in the first connection that comes, and some may meet their deadlines there, or be refused again where the server takes fewer. An RPC that waits for its credentials counts as one in flight, though it has no stream yet, so RPCs may be held where a plain channel sends them, and a short deadline may be over",
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
		reason: "a dial that is refused is followed by gRPC's backoff, about a second, and 1.6 times as long if it is refused again, of which an endpoint has one and N channels N: whose dial is refused, and which of N is back first, is chance; all that waited meet that one, if its server fails all RPCs they fail together, and if they pause they call in step from then on",
	},
	{
		name: "idle",
		when: func(w *World) bool { least, _ := w.sizes(); return least == 0 },
		pause: func(w *World) time.Duration {
			d := w.young() + w.handshake()
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
		reason: "minSize 0 asks that an unused pool is idle, and connects when it is used again; all that came meanwhile meet the new connections together, and a server that closes each after so many answers loses its share; what a server does to young connections, such as to allow them no streams for a while, RPCs meet then; and at a stream limit those that came meanwhile wait for one more dial; of those with a short deadline it may be over before. It may meet another server behind the same address then, which may be too slow for short deadlines",
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
		reason: "an answer of the application is one, whatever its code: of two servers the one that answers sooner carries fewer RPCs at a time, and gets the next one. Where the application answers all RPCs as a server in trouble would, only the failures are compared: how soon they fail, and where, is no service",
	},
	{
		name: "which connection",
		when: func(w *World) bool { return w.loses() || w.anyAllowsNone() || w.fails() >= 0 || w.refusals() > 1 },
		lost: func(w *World, _, plain *figures) int {
			if !w.loses() && !w.anyAllowsNone() {
				n := max(0, w.refusals()-1) * plain.each / 2
				if w.fails() >= 0 {
					n++
				}
				return n
			}
			if w.closesAfterAnother() {
				return plain.flying / 2
			}
			return plain.each + 1
		},
		reason: "which connection a server ends with RPCs on it, or allows no stream, is chance: those of one are lost more, or less; an RPC that two connections refuse, one after the other, is lost; and of RPCs in turn one more may fall to a server that fails all. Where one server allows none for a while, and then another one for ever, plain channels' callers may all wait at the first, where the pool's RPCs went to the other",
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
		reason: "an RPC that a GOAWAY refuses is done again, and at a stream limit another one may come first: which ones is chance, and they take once more as long. They come 5 ms after all others: where a server states its limit with the first answer these run without one, and those wait in the queue",
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
		lost: func(_ *World, _, plain *figures) int { return plain.failed[codes.DeadlineExceeded] / 50 },
		slower: func(w *World, plain *figures) time.Duration {
			switch n := w.lowers(); {
			case n > 1:
				return plain.slowest * time.Duration(n) / 2
			case w.limited():
				return plain.slowest / 4
			case plain.flying >= w.leastCap()-1 && (w.most() == 1 || w.hasOne() && plain.flying <= w.leastCap()+1):
				return w.calls()
			case plain.flying >= w.leastCap()-1: // one may be left for the health checking
				return 3 * plain.slowest / 2
			}
			return 0
		},
		reason: "gRPC's queue at the stream limit is not in turn: how long the unluckiest RPC waits is chance, to within a quarter, and where RPCs meet their deadlines there, how many do, to within one in fifty; and RPCs are queued by the limits of that time, so where a server lowers one they wait there as much longer. Nor are RPCs in turn that wait for a connection of a server that takes fewer on each than wait: the unluckiest waits for some more, and in a pool of one connection until fewer come: gRPC wakes them last come, first served",
	},
	{
		name: "short lives",
		when: func(w *World) bool { return w.livesShort() || w.endsUnproven() || w.endsWhileDialled() },
		lost: func(w *World, f, plain *figures) int {
			n := f.rpcs / 20
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
				return 20 * time.Second // the deadline
			}
			if w.livesLess(w.roundTrip() * 5 / 4) {
				return 2*w.credentials() + 3*w.handshake()
			}
			return 2 * w.credentials()
		},
		reason: "where a connection lives hardly longer than an RPC takes to get its credentials and to reach the server, RPCs are refused more than once, and gRPC repeats them once: how many is chance, and with a connection that is made when the RPC asks for it, fewer. Where connections live less than 100 ms, or less than two dials take, one RPC in twenty may be refused twice, whatever its credentials, and a third more than with plain channels; where they live less than two round trips, one in five may be; at less than one and a quarter, one in two, and those that are not wait for three more dials; at less than one, all. And where they live less than credentials take, an RPC that comes when others have ended never has a stream before its connection has ended, with a plain channel, too",
	},
	{
		name:   "leaked streams",
		when:   func(w *World) bool { n := w.leastLimit(); return n > 0 && w.leaked() >= n },
		lost:   func(_ *World, f, plain *figures) int { return min(f.failed[codes.DeadlineExceeded], plain.flying/2) },
		reason: "streams that are never read keep their places: where as many as a server allows on a connection meet on one, which is chance, RPCs that are queued there wait until their deadlines",
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
		reason: "which connection goes dark, how many RPCs it has, and when it was used last, is chance; a ping finds it out after its time and its timeout. A connection that is kept open may go dark where a plain channel has none at that time; the picker round_robin then gives it its share of all RPCs",
	},
}
