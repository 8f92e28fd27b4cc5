package soak

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/grpc-subpool/subpool/internal/harness"
)

func (d *driver) slowDials(r *rand.Rand) {
	b := d.order[r.IntN(len(d.order))]
	b.setDelay(between(r, 10*time.Millisecond, 300*time.Millisecond))
	d.note("slow dials", b.addr)
	d.sleep(between(r, 100*time.Millisecond, time.Second))
	b.setDelay(0)
}

// badDials breaks new connections for a while, and some old ones so that there are any.
func (d *driver) badDials(r *rand.Rand, name string, f harness.Fault) {
	b, lasts, cut := d.other(r), between(r, 50*time.Millisecond, 600*time.Millisecond), r.IntN(4)
	if !b.way.TryLock() {
		return // something else is wrong with them
	}
	defer b.way.Unlock()
	defer b.breakDials(f)()
	d.note(name, b.addr)
	for _, l := range some(r, b, cut+1) {
		l.cut("reset while dials fail")
	}
	d.sleep(lasts)
}

// breakDials breaks new connections until mend is called.
func (b *backend) breakDials(f harness.Fault) (mend func()) {
	if f == harness.Slam || f == harness.Flap {
		b.kills("dialled to be closed at once")
		for _, l := range b.all() {
			if !l.served.Load() { // it may be dialled, and not yet accepted
				l.blame("dialled just before new ones were closed at once")
			}
		}
	}
	b.Break(f)
	return func() {
		b.Break(harness.None)
		b.kills("")
	}
}

// kills says what breaks the links that are dialled from now on.
func (b *backend) kills(why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = why
}

func (b *backend) setDelay(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.delay = d
}

// restart kills a server: its connections break. The next one may take its time.
func (d *driver) restart(r *rand.Rand) {
	b, away := d.other(r), between(r, 0, 500*time.Millisecond)
	if !b.way.TryLock() {
		return
	}
	defer b.way.Unlock()
	defer b.breakDials(harness.Refuse)()
	d.note("restart", b.addr)
	b.kill()
	d.sleep(away)
}

// kill stops the server, and starts another.
func (b *backend) kill() {
	old := b.Replace()
	for _, l := range b.all() { // also links that already lead to the new one: which these are is not known
		l.blame("restart")
	}
	old.Stop()
}

// gracefulRestart lets a server finish what it has, for some time.
func (d *driver) gracefulRestart(r *rand.Rand) {
	b, grace := d.other(r), between(r, 100*time.Millisecond, 2*time.Second)
	d.note("graceful restart", b.addr, grace)
	old := b.Replace()
	links := b.all() // as above
	for _, l := range links {
		l.leave()
	}
	graceful := make(chan struct{})
	go func() {
		defer close(graceful)
		old.GracefulStop()
	}()
	d.sleep(grace)
	for _, l := range links {
		l.blame("restart after the grace")
	}
	old.Stop()
	<-graceful
}

// leave notes that l was told to go. One on which nothing was served yet may be
// unknown to its server, which then closes it without a word.
func (l *link) leave() {
	if !l.served.Load() {
		l.blame("new when its server restarted")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = true
}

// outage breaks every connection to every backend, and new ones for a while. Until the
// sanctuary is READY again, channels may have nothing that is.
func (d *driver) outage(r *rand.Rand) {
	if !d.out.TryLock() {
		return
	}
	defer d.out.Unlock()
	f := harness.Refuse
	if r.IntN(4) == 0 {
		f = []harness.Fault{harness.Slam, harness.Flap}[r.IntN(2)]
	}
	lasts, kill := between(r, 20*time.Millisecond, 400*time.Millisecond), r.IntN(3) == 0
	for _, b := range d.order {
		b.way.Lock()
	}
	d.note("outage", f, kill)
	ends := make(map[*channel]func())
	for _, c := range d.channels {
		ends[c] = begin(&c.mu, &c.outages)
	}
	var mend []func()
	for _, b := range d.order {
		mend = append(mend, b.breakDials(f))
		if kill {
			b.kill()
		}
		for _, l := range b.all() {
			l.cut("outage")
		}
	}
	d.sleep(lasts)
	for i, b := range d.order {
		mend[i]()
		b.way.Unlock()
	}
	for _, c := range d.channels {
		d.waitFor(fmt.Sprintf("%s to find the sanctuary again", c.name), time.Minute, func() string { return d.lost(c, d.order[0]) })
		ends[c]()
	}
}
