package picker

import (
	"math/rand/v2"

	"google.golang.org/grpc/balancer"

	"github.com/grpc-subpool/subpool/internal/load"
)

// leastInFlight takes the less loaded of two connections drawn at random: near
// the spread of a full scan at a cost that does not grow with the pool, and
// without the rush of all clients to a scan's single winner. If that one carries an RPC, it
// probes a few more for one that carries none: a short RPC should not share with a
// long stream while a connection is free. Where the lesser carries more, that is unlikely.
type leastInFlight struct{ pool }

func (p *leastInFlight) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	if p.Waiters.ExpectsRepicks() && p.Waiters.PicksAgain(info.Ctx) {
		return p.retry(info)
	}
	start, a := uint64(0), p.conns[0]
	if len(p.conns) > 1 {
		start, a = p.lesser()
	}
	if a.Reserve() {
		p.Waiters.Placed(info.Ctx)
		return a.Picked(), nil
	}
	return p.pickFrom(int(start), info)
}

// lesser draws two connections, and returns the less loaded one and the index of the first.
func (p *leastInFlight) lesser() (uint64, *load.Load) {
	random := rand.Uint64()
	i, j := twoOf(uint64(len(p.conns)), random)
	a := p.conns[i]
	if n := a.Cost(); n != 0 {
		b := p.conns[j]
		if m := b.Cost(); m < n { // on a tie a, which is as random as b
			a, n = b, m
		}
		if n == 1 {
			a = p.idleAmong(int(j), random, a)
		}
	}
	return i, a
}

// probes is at how many connections idleAmong looks.
const probes = 8

// idleAmong returns one of a few connections behind start that carries nothing, each as
// likely; or c. The lowest bits of random have not been used yet.
func (p *leastInFlight) idleAmong(start int, random uint64, c *load.Load) *load.Load {
	found := uint64(0)
	for k := start + 1; k <= start+min(probes, len(p.conns)-1); k++ {
		if o := p.conns[k%len(p.conns)]; o.Cost() == 0 && !o.RequestLimitReached() {
			found++
			if random&(1<<16-1)%found == 0 {
				c = o
			}
		}
	}
	return c
}

// twoOf draws two different indexes below n, at least 2, from one random number.
// n is at most 2³¹.
func twoOf(n, random uint64) (i, j uint64) {
	i = random & (1<<32 - 1) * n >> 32
	j = i + 1 + random>>32*(n-1)>>32
	if j >= n {
		j -= n
	}
	return i, j
}
