package worlds

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// How often a world is played where chance may have decided: the median of the pool's
// plays must not be worse than the worst of plain channels'. If both are of one kind that
// happens in one case of ten, on appeal in one of a hundred, and on the last one in fewer.
var (
	instances = []draws{{1, 1}, {1, 5}, {3, 5}}
	appeal    = draws{7, 12}
	last      = draws{15, 40}
)

type draws struct{ pool, plain int }

// complaints are the ways in which f is worse than all of plain.
func (w *World) complaints(f *figures, plain []figures) (worse []string) {
	say := func(format string, args ...any) { worse = append(worse, fmt.Sprintf(format, args...)) }
	m := w.margins(f, plain)
	most := func(of func(*figures) int) (n int) {
		for i := range plain {
			n = max(n, of(&plain[i]))
		}
		return n
	}
	if f.spun {
		say("spin: it publishes without end")
	}
	if most := f.rpcs + 8*f.dials + 200; f.publications > most {
		say("publications: %d, margin %d", f.publications, most)
	}
	if f.left {
		say("left: goroutines, after the end")
	}
	if f.kept {
		say("left: the pool, in memory, after the end")
	}
	// Callers that wait less make more RPCs, and may lose as many more.
	scaled := func(p *figures, n int) int { return n * max(f.rpcs, p.rpcs) / max(1, p.rpcs) }
	// And two for as many as plain channels made in all: of so few it is chance how many they lost.
	byChance := func(p *figures) int { return 2 * max(f.rpcs-p.rpcs, 0) / max(1, p.rpcs) }
	// An RPC that plain channels lose in one way, and a pool in the other, is lost in both.
	loses := func(p *figures) int { return scaled(p, w.held(p)+p.late) + byChance(p) }
	allowed := most(loses) + m.failures
	// Where all servers fail, how many RPCs end otherwise is chance.
	if w.held(f)+f.late > allowed && !w.hopeless() && !w.allTrouble() {
		if n, k := f.late, most(func(p *figures) int { return scaled(p, p.late) + byChance(p) }); n > k+m.late {
			say("late: %d RPCs with a short deadline, plain %d, margin %d", n, k, m.late)
		}
		if n, k := w.held(f), most(func(p *figures) int { return scaled(p, w.held(p)) + byChance(p) }); n > k+m.failures {
			say("failures: %d, plain %d, margin %d", n, k, m.failures)
		}
	}
	leaks := slices.ContainsFunc(w.Callers, func(c Callers) bool { return c.Leaked > 0 }) && w.limited()
	fewer := func(p figures) bool { return w.held(f)+1 < scaled(&p, w.held(&p)) }
	lost := w.hopeless() || f.good() == 0 || leaks || w.anyAllowsNone() || slices.ContainsFunc(plain, fewer) // what waits here
	slowest := func(a, b figures) int { return cmp.Compare(a.slowest, b.slowest) }
	if d, k := f.slowest, slices.MaxFunc(plain, slowest).slowest; !lost && d > k+m.slowest {
		say("slowest: %v, plain %v, margin %v", d, k, m.slowest)
	}
	if n, k := f.dials, most(func(f *figures) int { return f.dials }); n > k+m.dials {
		say("dials: %d, plain %d, margin %d", n, k, m.dials)
	}
	if !lost && !w.allTrouble() {
		worse = append(worse, w.dips(f, plain, allowed)...)
	}
	worse = append(worse, w.broken(f)...)
	if i := w.fails(); i >= 0 && w.EvenShares && !w.limited() {
		share := func(f *figures) int { return f.shares[i] * 1000 / max(1, f.rpcs) }
		if n, k := share(f), most(share); n > k {
			say("share of the failing server: %d ‰, plain %d ‰", n, k)
		}
	}
	return worse
}

// dips are the complaints about throughput. RPCs that failed, as far as that is allowed, are no complaint twice.
func (w *World) dips(f *figures, plain []figures, allowed int) (worse []string) {
	say := func(format string, args ...any) { worse = append(worse, fmt.Sprintf(format, args...)) }
	least := plain[0].good()
	for i := range plain {
		least = min(least, plain[i].good())
	}
	// Callers on a connection that is dark wait for a ping: how many, and from when on, is chance.
	alike := w.anyPause() == 0 && w.few() == 0 && !w.refuses(f) &&
		!w.happens(Darken) && !w.livesShort() && !w.agesWithin(w.roundTrip()*5/4)
	n := f.good() + min(f.failures(), allowed)
	// Each caller may wait once as much longer as an RPC may.
	longer := float64(w.handshake()+50*time.Millisecond) / float64(w.calls())
	fair := int(float64(least) * 4 / 5 * max(0, 1-longer))
	if w.closed() && alike && w.outage() == 0 && !w.meetsAnother(f) && !w.drifts() && least >= sensible && n < fair {
		say("throughput: %d RPCs in all, plain %d", n, least)
	}
	// Callers that all call at once make dips of their own, in which none waits.
	waited := !slices.ContainsFunc(plain, func(p figures) bool { return p.failures() >= f.failures() })
	for i := range plain {
		waited = waited || f.slowest > plain[i].slowest+50*time.Millisecond
	}
	// An RPC may wait one handshake longer where a connection ends, and of an age more may end here.
	more := 1
	for i := range plain {
		if w.shortest() > 0 {
			more = max(more, 1+f.made-plain[i].made)
		}
	}
	if n := w.unexcused(f, plain); n > more*(int(w.handshake()/window)+1) && alike && waited {
		say("throughput: %d windows of %v are low, and not with plain channels", n, window)
	}
	return worse
}

// broken are the promises that f breaks by itself.
func (w *World) broken(f *figures) (broken []string) {
	say := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	if o := w.Own; (o.Failures > 0 || o.NoFailure) && w.held(f) > o.Failures {
		say("own: %d failures, promised are %d at most", w.held(f), o.Failures)
	}
	if o := w.Own; o.Ended > 0 && f.good() < o.Ended {
		say("own: %d RPCs, promised are %d at least", f.good(), o.Ended)
	}
	for at := range max(0, len(f.done)-1) {
		if w.Own.Steady && f.low(at) {
			say("own: window %d has %d RPCs, the mean is %.0f", at, f.done[at], f.mean())
		}
	}
	if o := w.Own; o.Slowest > 0 && f.slowest > o.Slowest {
		say("own: an RPC took %v, promised is %v at most", f.slowest, o.Slowest)
	}
	for _, p := range []struct {
		what    string
		n, most int
	}{
		{"dials", f.dials, w.Own.Dials},
		{"connections at a time", f.most, w.Own.Connections},
		{"dials in 100 ms", f.rush, w.Own.Rush},
	} {
		if p.most > 0 && p.n > p.most {
			say("own: %d %s, promised are %d at most", p.n, p.what, p.most)
		}
	}
	return broken
}

// sensible is how many RPCs are compared; of fewer chance decides.
const sensible = 20

// unexcused counts windows in which less than half of the mean ended, while that was so
// with no plain channel, at that time, a handshake earlier or one later.
func (w *World) unexcused(f *figures, plain []figures) (n int) {
	near := int((w.handshake()+50*time.Millisecond)/window) + 1
	for at := range max(0, len(f.done)-1) {
		low := f.mean() >= sensible && f.low(at) && !w.inOutage(at)
		for i := range plain {
			p := &plain[i]
			if at >= len(p.done)-1 || p.mean() < sensible {
				low = false
			}
			for k := at - near; k <= at+near; k++ {
				low = low && !p.low(k)
			}
		}
		if low {
			n++
		}
	}
	return n
}

// A verdict is what the plays of a world showed.
type verdict struct {
	world *World
	pool  []figures
	plain map[int][]figures // by the number of channels
	worse []string          // why the pool is; nil if it is not
}

// judge plays the world until it is clear whether ours is worse than plain channels: once
// each if it is not.
func (w *World) judge(t *testing.T, ours contender, more ...draws) *verdict {
	v := &verdict{world: w, plain: make(map[int][]figures)}
	for _, draws := range append(slices.Clone(instances), more...) {
		for len(v.pool) < draws.pool {
			v.pool = append(v.pool, w.play(t, ours, uint64(len(v.pool))))
		}
		var all [][]string
		for i := range v.pool {
			if worse := v.complaints(t, &v.pool[i], draws.plain); worse != nil {
				all = append(all, worse)
			}
		}
		if len(all) <= draws.pool/2 {
			v.worse = nil
			return v
		}
		v.worse = all[len(all)/2]
	}
	return v
}

// complaints are nil if f is no worse than one of the references, played so many times.
func (v *verdict) complaints(t *testing.T, f *figures, draws int) (all []string) {
	for _, channels := range v.world.references(f) {
		plain := v.plain[channels]
		for len(plain) < draws {
			plain = append(plain, v.world.play(t, v.world.plain(channels), uint64(len(plain))))
		}
		v.plain[channels] = plain
		worse := v.world.complaints(f, plain)
		if worse == nil {
			return nil
		}
		for _, why := range worse {
			all = append(all, fmt.Sprintf("than %d channels: %s", channels, why))
		}
	}
	return all
}

// String is the story of the world and the figures of both sides.
func (v *verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n", v.world)
	for _, why := range v.worse {
		fmt.Fprintf(&b, "  worse %s\n", why)
	}
	for i := range v.pool {
		fmt.Fprintf(&b, "  ours:  %v\n", &v.pool[i])
	}
	for channels, plain := range v.plain {
		for i := range plain {
			fmt.Fprintf(&b, "  plain × %d: %v\n", channels, &plain[i])
		}
	}
	return b.String()
}
