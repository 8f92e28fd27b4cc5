package workload

import (
	"runtime"
	"strconv"
	"time"

	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

// proven is how long after a start a connection may be lost and dialled at once again; the
// policy itself may have something to do meanwhile.
const proven = 1500 * time.Millisecond

// starts are over the number of subchannels.
func (k *scaling) starts() error {
	t := k.table("large pool", "subchannels", cpu("CPU of a start", "ms"), cpu("CPU after it", "ms in the 1.5 s that follow"),
		result.Metric{Name: "publications", Unit: "pickers", Lower: true})
	t.Plots = []result.Plot{{Metric: "CPU of a start", Title: "Large pools", Lines: true}}
	for _, s := range []shape{{250, 4}, {500, 4}, {1000, 4}, {10_000, 1}} {
		s.endpoints = k.fewer(s.endpoints)
		row := commas(s.subchannels())
		err := k.both(t, row, 3, func(policy string) (values, error) {
			return usePool(policy, s, noneDue, func(p *scaledPool, start time.Duration) (values, error) {
				v := values{"CPU of a start": millis(start), "publications": float64(p.Published())}
				after, err := spend(func(time.Time) error { time.Sleep(k.lasts(proven)); return nil })
				v["CPU after it"] = millis(after)
				return v, err
			})
		})
		if err != nil {
			return err
		}
		k.tell(t, row, "CPU of a start")
	}
	return nil
}

// changes are what a resolver and the health checking bring to a pool that is there.
func (k *scaling) changes() error {
	t := k.table("large pool changed", "pool", cpu("CPU of an exchanged endpoint", "ms"), cpu("CPU of the same endpoints again", "ms"), cpu("CPU of a health flip", "ms"))
	s := shape{k.fewer(1000), 4}
	err := k.both(t, s.String(), 3, func(policy string) (values, error) {
		return usePool(policy, s, noneDue, func(p *scaledPool, _ time.Duration) (values, error) {
			time.Sleep(proven)
			exchanged, err := p.each(k.fewer(20), func(int) {
				p.exchange(1)
				p.resolve()
			})
			if err != nil {
				return nil, err
			}
			same, err := p.each(k.fewer(20), func(int) { p.resolve() })
			if err != nil {
				return nil, err
			}
			time.Sleep(proven)
			all := p.SubConns()
			half, err := p.each(2*k.fewer(50), func(i int) { all[i/2].Serve(i%2 == 1) })
			return values{
				"CPU of an exchanged endpoint":    millis(exchanged),
				"CPU of the same endpoints again": millis(same),
				"CPU of a health flip":            2 * millis(half),
			}, err
		})
	})
	for _, m := range t.Metrics {
		k.tell(t, s.String(), m.Name)
	}
	return err
}

// rests are of pools that are not used, with renewals and without.
func (k *scaling) rests() error {
	t := k.table("large pool at rest", "pool", cpu("CPU at rest", "% of a core"), result.Metric{Name: "renewals", Unit: "a second", Note: true})
	for _, s := range []shape{{500, 4}, {1000, 4}} {
		s.endpoints = k.fewer(s.endpoints)
		var sides []side
		for _, c := range []struct{ name, policy, settings string }{
			{roundRobin, roundRobin, ""},
			{ours + ", none due", ours, noneDue},
			{ours, ours, renewing},
		} {
			sides = append(sides, k.side(t, s.String(), c.name, func() (values, error) { return k.rest(c.policy, s, c.settings) }))
		}
		if err := k.alternate(t, 1, sides...); err != nil {
			return err
		}
		for _, name := range []string{ours + ", none due", ours} {
			k.w.Verdicts = append(k.w.Verdicts, result.Told("at rest, "+s.String()+": "+name, result.StatOf(t.Values(s.String(), name, "CPU at rest")), " % of a core"))
		}
	}
	return nil
}

// rest waits until all is told, and not for a time without changes: with renewals there may
// be none.
func (k *scaling) rest(policy string, s shape, settings string) (values, error) {
	p, err := openScaled(policy, s, settings)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	p.resolve()
	for end := time.Now().Add(patience); p.Ready() < p.want || !p.Quiet(time.Now()); time.Sleep(afterStart) {
		if time.Now().After(end) {
			return nil, errLate
		}
	}
	time.Sleep(k.lasts(2 * proven))
	runtime.GC()
	began, before, made := time.Now(), server.CPU(), p.Made()
	time.Sleep(k.lasts(20 * time.Second))
	lasted := time.Since(began).Seconds()
	return values{
		"CPU at rest": 100 * (server.CPU() - before).Seconds() / lasted,
		"renewals":    float64(p.Made()-made) / lasted,
	}, nil
}

// largeEndpoint has as many subchannels as an endpoint may have.
func (k *scaling) largeEndpoint() error {
	t := k.table("large endpoint", "pool", cpu("CPU of a start", "ms"), cpu("CPU of an event", "ms"))
	s := shape{1, k.fewer(1024)}
	err := k.both(t, s.String(), 3, func(policy string) (values, error) {
		return usePool(policy, s, noneDue, func(p *scaledPool, start time.Duration) (values, error) {
			time.Sleep(proven)
			all := p.SubConns() // each loses one connection, for a new one must first prove itself
			event, err := p.each(k.fewer(200), func(i int) { all[i].Lose() })
			return values{"CPU of a start": millis(start), "CPU of an event": millis(event)}, err
		})
	})
	k.tell(t, s.String(), "CPU of a start")
	k.tell(t, s.String(), "CPU of an event")
	return err
}

// smallPools are many, for one alone is soon done.
func (k *scaling) smallPools() error {
	t := k.table("small pool", "subchannels", cpu("CPU of a start", "µs"), cpu("CPU of an event", "µs"))
	for _, size := range []int{1, 4, 16} {
		row := strconv.Itoa(size)
		if err := k.both(t, row, 5, func(policy string) (values, error) { return k.small(policy, size) }); err != nil {
			return err
		}
		k.tell(t, row, "CPU of a start")
		k.tell(t, row, "CPU of an event")
	}
	return nil
}

func (k *scaling) small(policy string, size int) (values, error) {
	var pools []*scaledPool
	for range k.fewer(300) {
		p, err := openScaled(policy, shape{1, size}, noneDue)
		if err != nil {
			return nil, err
		}
		defer p.Close()
		pools = append(pools, p)
	}
	all := func(do func(p *scaledPool)) (micros float64, err error) {
		spent, err := spend(func(end time.Time) error {
			for _, p := range pools {
				do(p)
			}
			return settle(end, afterStart, pools...)
		})
		return millis(spent) * 1e3 / float64(len(pools)), err
	}
	start, err := all((*scaledPool).resolve)
	if err != nil {
		return nil, err
	}
	time.Sleep(proven)
	event, err := all(func(p *scaledPool) { p.SubConns()[0].Lose() })
	return values{"CPU of a start": start, "CPU of an event": event}, err
}

// churn exchanges one in a hundred endpoints each second.
func (k *scaling) churn() error {
	t := k.table("large pool in churn", "pool", cpu("CPU of churn", "% of a core"))
	s := shape{k.fewer(10_000), 1}
	err := k.both(t, s.String(), 1, func(policy string) (values, error) {
		return usePool(policy, s, noneDue, func(p *scaledPool, _ time.Duration) (values, error) {
			time.Sleep(proven)
			seconds := max(1, int(k.lasts(10*time.Second)/time.Second))
			spent, err := spend(func(end time.Time) error {
				for range seconds {
					p.exchange(s.endpoints / 100)
					p.resolve()
					time.Sleep(time.Second)
				}
				return settle(end, afterStart, p)
			})
			return values{"CPU of churn": 100 * spent.Seconds() / float64(seconds)}, err
		})
	})
	k.tell(t, s.String(), "CPU of churn")
	return err
}
