package soak

import (
	"math/rand/v2"
	"time"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// A fault is something that the test does. Each gets chances of its own, and draws
// what it needs: which backend, which links, how long.
type fault struct {
	name   string
	chance int
	do     func(*driver, *rand.Rand)
}

var faults = []fault{
	{"reset", 40, (*driver).reset},
	{"black hole", 10, (*driver).blackHole},
	{"slow dials", 8, (*driver).slowDials},
	{"refused dials", 8, func(d *driver, r *rand.Rand) { d.badDials(r, "refused dials", harness.Refuse) }},
	{"hung dials", 6, func(d *driver, r *rand.Rand) { d.badDials(r, "hung dials", harness.Hang) }},
	{"slammed dials", 4, func(d *driver, r *rand.Rand) { d.badDials(r, "slammed dials", harness.Slam) }},
	{"flapping", 4, func(d *driver, r *rand.Rand) { d.badDials(r, "flapping", harness.Flap) }},
	{"GOAWAY", 16, (*driver).goAway},
	{"restart", 3, (*driver).restart},
	{"graceful restart", 4, (*driver).gracefulRestart},
	{"stream limit", 8, (*driver).limitStreams},
	{"endpoints", 12, (*driver).changeEndpoints},
	{"settings", 16, (*driver).changeSettings},
	{"unhealthy", 8, (*driver).unhealthy},
	{"outage", 1, (*driver).outage},
}

// other draws a backend that is not the sanctuary.
func (d *driver) other(r *rand.Rand) *backend { return d.order[1+r.IntN(len(d.order)-1)] }

// some draws up to most links of b.
func some(r *rand.Rand, b *backend, most int) []*link {
	links := b.all()
	r.Shuffle(len(links), func(i, j int) { links[i], links[j] = links[j], links[i] })
	return links[:min(len(links), 1+r.IntN(most))]
}

func (d *driver) reset(r *rand.Rand) {
	b, most := d.other(r), 3
	if r.IntN(8) == 0 {
		most = 1000 // often all
	}
	for _, l := range some(r, b, most) {
		l.cut("reset")
		d.note("reset", l)
	}
}

// blackHole makes a link go dark. After seconds the network gives it up, if the pool
// has not.
func (d *driver) blackHole(r *rand.Rand) {
	b, how := d.other(r), []harness.Darkness{harness.Swallow, harness.Stall}[r.IntN(2)]
	lasts := between(r, 2*time.Second, 4*time.Second)
	for _, l := range some(r, b, 1) {
		l.darken(how)
		d.note("black hole", l)
		d.sleep(lasts)
		if over(l.over) && len(l.harms()) == 0 {
			d.escaped.Add(1)
		}
		l.cut("the black hole's end")
	}
}

func (d *driver) goAway(r *rand.Rand) {
	b := d.other(r)
	conns := b.OpenConns()
	r.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
	for _, n := range conns[:min(len(conns), 1+r.IntN(3))] {
		if b.Say(n, harness.GoAwayFrame) == nil { // it may be gone by now
			d.goAways.Add(1)
			d.note("GOAWAY", b.addr, n)
		}
	}
}

// limitStreams makes one server, or all, allow few streams on a connection.
func (d *driver) limitStreams(r *rand.Rand) {
	at := d.order[r.IntN(len(d.order)):][:1]
	if r.IntN(2) == 0 {
		at = d.order
	}
	limit := []uint32{0, 1, 2, 3, 5, 10}[r.IntN(6)]
	lasts := between(r, 100*time.Millisecond, time.Second)
	if limit == 0 {
		lasts = between(r, 20*time.Millisecond, 200*time.Millisecond)
	}
	var limited []*backend
	for _, b := range at {
		if b.limit.TryLock() {
			limited = append(limited, b)
			defer b.limit.Unlock()
			defer begin(&b.mu, &b.limits)()
			b.Limit(limit)
		}
	}
	d.note("stream limit", limit, len(limited))
	d.sleep(lasts)
	for _, b := range limited {
		b.Limit(noLimit)
	}
	time.Sleep(known)
}

const (
	noLimit = 1<<32 - 1
	known   = time.Second // after which every pool knows a new limit
)

func (d *driver) changeEndpoints(r *rand.Rand) {
	c, endpoints := d.channels[r.IntN(len(d.channels))], anyEndpoints(r, d.order)
	d.note("endpoints", c.name, endpoints)
	c.list(endpoints)
}

func (d *driver) changeSettings(r *rand.Rand) {
	c, cfg, health := d.channels[r.IntN(len(d.channels))], anySettings(r), r.IntN(2) == 0
	d.note("settings", c.name, cfg.ServiceConfig(), health)
	c.configure(cfg, health)
}

// unhealthy makes a server say that it does not serve, on some connections or on all.
func (d *driver) unhealthy(r *rand.Rand) {
	b, lasts := d.other(r), between(r, 50*time.Millisecond, 500*time.Millisecond)
	conns := b.OpenConns()
	if r.IntN(2) == 0 {
		r.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
		conns = conns[:min(1, len(conns))]
	}
	d.note("unhealthy", b.addr, conns)
	for _, n := range conns {
		b.SetHealth(n, false)
	}
	d.sleep(lasts)
	for _, n := range conns {
		b.SetHealth(n, true)
	}
}
