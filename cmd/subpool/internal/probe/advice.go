package probe

import (
	"fmt"
	"math"
	"strings"
)

const (
	gainful          = 1.15 // so many times the RPC/s are a gain, if most rounds agree
	gainfulIfStarved = 1.5  // where this client lacks CPU, other processes make noise
	mostRounds       = 0.6
	leastRatios      = 3       // rounds; below there is no telling
	starved          = 1. / 20 // a goroutine that waits this part of an RPC for a thread, of several waits that an RPC has
	tellable         = 1.5     // times the RPCs in flight would show in RPC/s
	uneven           = 0.3     // slices that differ by this part are no proof that nothing is gained
	unqueued         = 1.3     // so many times the time of one RPC alone is as fast as alone
	congested        = 2       // if an RPC without work takes so many times what it takes on an idle connection,
	noticeable       = 0.03    // and more by this part of one with work, it is the connection that both wait for
)

// Advice is how many connections to have, and why, in one sentence.
func Advice(r Report) string {
	if why := r.unknown(); why != "" {
		return "No advice: " + why + "."
	}
	best := r.best()
	n, why := r.Rows[best].Size, ""
	if r.limited() {
		n, why = r.byLimit(best)
	}
	switch {
	case why != "":
	case best == 0:
		why = r.atBest(best)
	default:
		why = r.byGain(best)
	}
	sentence := fmt.Sprintf("%d: %s", n, why)
	if a := r.Rows[best].Addresses; a > 1 {
		sentence = fmt.Sprintf("%d to each of the %d server addresses: %s", n, a, why)
	}
	if row := r.Rows[best]; row.Failed*100 > row.Done {
		sentence += fmt.Sprintf("; but %d of %d RPCs failed there, which is to be mended first", row.Failed, row.Done+row.Failed)
	}
	return sentence + "."
}

// unknown is why there is nothing to advise.
func (r Report) unknown() string {
	done, rounds, connections := 0, -1, 0
	for _, row := range r.Rows {
		done += row.Done
		connections += row.Connections
		if rounds < 0 || len(row.Rates) < rounds {
			rounds = len(row.Rates)
		}
	}
	switch {
	case connections == 0:
		return "the connections were lost meanwhile"
	case len(r.Rows) < 2:
		return "only one number of connections was measured"
	case rounds < leastRatios:
		return fmt.Sprintf("%d rounds are too few to tell a gain from noise: raise -for or -n", rounds)
	case done == 0:
		return "not one RPC ended well"
	default:
		return ""
	}
}

// best is the first row over which that with the most RPC/s is no gain.
func (r Report) best() int {
	least := gainful
	if r.starved(r.Rows[0]) {
		least = gainfulIfStarved
	}
	top := 0
	for i := range r.Rows {
		if ratio, _ := compare(r.Rows[top], r.Rows[i]); ratio > 1 {
			top = i
		}
	}
	for i := range top {
		noise := max(r.Rows[i].unevenness(), r.Rows[top].unevenness()) / math.Sqrt(float64(len(r.Rows[top].Rates)))
		if ratio, agree := compare(r.Rows[i], r.Rows[top]); ratio < max(least, 1+noise) || agree < mostRounds {
			return i
		}
	}
	return top
}

// unevenness is the part of the median by which the slices differ.
func (r Row) unevenness() float64 {
	return (quantile(r.Rates, 0.75) - quantile(r.Rates, 0.25)) / max(r.Rate(), 1e-9)
}

// compare tells how many times the RPC/s of one row another has, and the part of the rounds
// in which they were more. It takes upper quartiles: what disturbs only ever makes fewer.
func compare(from, to Row) (ratio, agree float64) {
	n := min(len(from.Rates), len(to.Rates))
	for i := range n {
		if to.Rates[i] > from.Rates[i] {
			agree += 1 / float64(n)
		}
	}
	return (quantile(to.Rates, 0.75) + 1e-9) / (quantile(from.Rates, 0.75) + 1e-9), agree
}

// limited reports whether one connection cannot carry all RPCs.
func (r Report) limited() bool {
	one := r.Rows[0]
	return one.Limit > 0 && r.InFlight > one.Limit*max(1, one.Addresses)
}

// byLimit is the advice where the server limits streams; none if that is not the reason.
func (r Report) byLimit(best int) (n int, why string) {
	one := r.Rows[0]
	room := one.Limit * max(1, one.Addresses)
	need := (r.InFlight + room - 1) / room
	least := 0 // this and fewer did worse
	if best > 0 {
		least = r.Rows[best-1].Size
	}
	size, last := r.Rows[best].Size, best == len(r.Rows)-1
	limit := fmt.Sprintf("the server allows %d streams a connection and you have %d in flight", one.Limit, r.InFlight)
	switch {
	case need > size && last:
		return need, fmt.Sprintf("%s; RPC/s grew up to %s, the most that was measured", limit, counted(size, "connection"))
	case need > size && float64(r.InFlight) < tellable*float64(room*size): // some wait, however little it shows
		return need, fmt.Sprintf("%s; more than %d gains nothing", limit, need)
	case need > size && max(r.Rows[best].unevenness(), r.Rows[best+1].unevenness()) > uneven:
		return need, limit + ", and RPC/s were too uneven to tell more"
	case need > size:
		return size, fmt.Sprintf("%s, but more than %d gains nothing, because %s", limit, size, r.atBest(best))
	case need > least:
		return need, fmt.Sprintf("%s; more than %d gains nothing", limit, size)
	default:
		return size, "" // the connections do more than give room
	}
}

// atBest is why more than these connections gain nothing.
func (r Report) atBest(best int) string {
	row := r.Rows[best]
	switch {
	case r.starved(row):
		return "this client's CPU is the limit, not the connection"
	case float64(row.P50) <= unqueued*float64(r.Idle):
		return fmt.Sprintf("with %d in flight an RPC takes %s, as fast as alone, so nothing waits for a connection", r.InFlight, ms(row.P50))
	default:
		return fmt.Sprintf("the server, or the network that all connections share, is the limit at %.0f RPC/s, not the connection", row.Rate())
	}
}

// starved reports whether this process had too little CPU: it used up its threads, or
// shares the machine with others that do.
func (r Report) starved(row Row) bool {
	return row.CPU >= 0.85*float64(r.Threads) || float64(row.Wait) >= starved*float64(row.P50)
}

// byGain is why more connections carry more.
func (r Report) byGain(best int) string {
	one, row := r.Rows[0], r.Rows[best]
	gain := fmt.Sprintf("they carry %.1f times what %s does", row.Rate()/max(one.Rate(), 1), counted(one.Size, "connection"))
	var b strings.Builder
	switch {
	case one.Trickle == 0 || r.IdleTrickle == 0 || r.starved(one):
		b.WriteString(gain)
	case r.congested():
		fmt.Fprintf(&b, "%s, which is the limit (%sits link, its flow-control windows, or the server's thread for it), for even an RPC that takes no work takes %s there, and %s when it is idle",
			gain, r.carries(one), ms(one.Trickle), ms(r.IdleTrickle))
	default:
		fmt.Fprintf(&b, "%s, though that is not the limit (an RPC that takes no work passes it in %s), so more connections reach more servers, as behind an L4 balancer", gain, ms(one.Trickle))
	}
	switch {
	case best == len(r.Rows)-1:
		b.WriteString("; more may gain more")
	case r.starved(row):
		fmt.Fprintf(&b, "; more than %d gains nothing, because this client's CPU is the limit then", row.Size)
	default:
		fmt.Fprintf(&b, "; more than %d gains nothing", row.Size)
	}
	return b.String()
}

// congested reports whether RPCs wait within a connection, those that take no work among them.
func (r Report) congested() bool {
	one := r.Rows[0]
	more := one.Trickle - r.IdleTrickle
	return one.Trickle >= congested*r.IdleTrickle && float64(more) >= noticeable*float64(one.P50)
}

// carries is what goes over a connection, if it is so much that it matters.
func (r Report) carries(one Row) string {
	if rate := one.Rate() * float64(r.RequestBytes+r.ReplyBytes) / 1e6; rate >= 0.1 {
		return fmt.Sprintf("at %.1f MB/s: ", rate)
	}
	return ""
}
