package soak

import (
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/picker"
	poolresolver "github.com/grpc-subpool/subpool/resolver"
)

// calmSize is how many connections a channel has to each backend between the rounds.
const calmSize = 2

// calmSettings are those in force between the rounds: nothing changes by itself.
func calmSettings() subpool.Config {
	c := subpool.DefaultConfig()
	c.MinSize, c.MaxSize = calmSize, calmSize
	c.IdleTimeout, c.MaxLifetime = 0, 0
	return c
}

// anySettings draws every field. Lives are short: that is what the soak is for.
func anySettings(r *rand.Rand) subpool.Config {
	c := subpool.DefaultConfig()
	c.MaxSize = 1 + r.IntN(8)
	c.MinSize = c.MaxSize
	if r.IntN(2) == 0 {
		c.MinSize = r.IntN(c.MaxSize + 1)
	}
	c.TargetStreams = 1 + r.IntN(20)
	c.Picker = []string{picker.LeastInFlight, picker.LeastInFlight, picker.RoundRobin, foreign}[r.IntN(4)]
	c.IdleTimeout = between(r, 100*time.Millisecond, 2*time.Second)
	c.MaxLifetime = between(r, 100*time.Millisecond, 700*time.Millisecond)
	c.LifetimeJitter = r.Float64()
	if r.IntN(4) == 0 {
		c.IdleTimeout = 0
	}
	switch r.IntN(12) { // longer ones, or a connection that answers nothing is gone before that is seen
	case 0:
		c.MaxLifetime = 0
	case 1, 2:
		c.MaxLifetime = between(r, time.Second, 5*time.Second)
	}
	if r.IntN(3) == 0 {
		c.DrainTimeout = between(r, 500*time.Millisecond, time.Second)
	}
	if r.IntN(3) == 0 {
		c.MaxPending = r.IntN(40)
	}
	if r.IntN(2) == 0 {
		c.UnresponsiveTimeout = between(r, 10*time.Millisecond, 300*time.Millisecond)
	}
	if r.IntN(2) == 0 {
		c.OutlierInterval = between(r, 100*time.Millisecond, time.Second)
	}
	if r.IntN(3) == 0 {
		c.ResolveInterval = between(r, 100*time.Millisecond, time.Second)
	}
	return c
}

// steadySettings are those of a pool that does nothing but renew itself.
func steadySettings(r *rand.Rand) subpool.Config {
	c := calmSettings()
	c.MaxSize = 1 + r.IntN(6)
	c.MinSize = c.MaxSize
	c.MaxLifetime = between(r, 200*time.Millisecond, 1500*time.Millisecond)
	return c
}

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}

// plain is an endpoint for each backend.
func plain(backends []*backend) (all []resolver.Endpoint) {
	for _, b := range backends {
		all = append(all, resolver.Endpoint{Addresses: []resolver.Address{{Addr: b.addr}}})
	}
	return all
}

// anyEndpoints draws a list in which the first backend is always by itself: of the
// rest some are missing, some are alternatives of each other, some have a size of
// their own.
func anyEndpoints(r *rand.Rand, backends []*backend) []resolver.Endpoint {
	all := plain(backends[:1])
	for _, b := range backends[1:] {
		addr := resolver.Address{Addr: b.addr}
		switch n := r.IntN(6); {
		case n == 0:
		case n == 1 && len(all) > 1:
			last := &all[len(all)-1]
			last.Addresses = append(last.Addresses, addr)
		default:
			all = append(all, resolver.Endpoint{Addresses: []resolver.Address{addr}})
		}
	}
	for i := range all {
		if r.IntN(6) == 0 {
			all[i] = poolresolver.WithSize(all[i], 1+r.IntN(6))
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// foreign is the name of a picker that knows nothing of subpool.
const foreign = "soak_any"

func init() { picker.Register(foreign, anyPicker{}) }

type anyPicker []balancer.SubConn

func (anyPicker) Build(info base.PickerBuildInfo) balancer.Picker {
	var p anyPicker
	for sc := range info.ReadySCs {
		p = append(p, sc)
	}
	return p
}

func (p anyPicker) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	return balancer.PickResult{SubConn: p[rand.IntN(len(p))]}, nil
}
