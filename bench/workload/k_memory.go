package workload

import (
	"fmt"
	"runtime"
	"time"

	"google.golang.org/grpc/balancer"

	"github.com/grpc-subpool/subpool/bench/fakecc"
	"github.com/grpc-subpool/subpool/bench/result"
)

// memory is of pools at rest. gRPC's policy has no endpoint without a SubConn, and with
// 10,000 of them takes most of a minute to start.
func (k *scaling) memory() error {
	t := k.table("large pool's memory", "pool", result.Metric{Name: "memory", Unit: "bytes each", Lower: true})
	n := k.fewer(1000)
	for _, c := range []struct {
		shape
		dial time.Duration
	}{
		{shape{2 * n, 1}, 50 * time.Millisecond},
		{shape{2, n}, 50 * time.Millisecond},
		{shape{2 * n, 1}, fakecc.Never},
		{shape{2, n}, fakecc.Never},
		{shape{10 * n, 0}, 50 * time.Millisecond},
	} {
		row := c.String() + ", READY"
		switch {
		case c.size == 0:
			row = c.String()
		case c.dial == fakecc.Never:
			row = c.String() + ", not connected"
		}
		err := k.both(t, row, 3, func(policy string) (values, error) { return keep(policy, c.shape, c.dial) })
		if err != nil {
			return err
		}
		if c.size > 0 {
			k.tell(t, row, "memory")
		}
		claim := fmt.Sprintf("%s, pool %s: memory", t.Name, row)
		k.w.Verdicts = append(k.w.Verdicts, result.Told(claim, result.StatOf(t.Values(row, ours, "memory")), " bytes"))
	}
	return nil
}

// keep is what a policy keeps for each subchannel, or endpoint without. Of the SubConns that
// such an endpoint had the channel's map has kept its room, a few bytes for each.
func keep(policy string, s shape, dial time.Duration) (values, error) {
	if s.size == 0 && policy != ours {
		return nil, nil
	}
	own, err := heap(bare, s, dial)
	if err != nil {
		return nil, err
	}
	all, err := heap(policy, s, dial)
	return values{"memory": (all - own) / float64(max(s.subchannels(), s.endpoints))}, err
}

// heap is how much more there is when a pool has started than before the resolver answered,
// when the endpoints were there already.
func heap(policy string, s shape, dial time.Duration) (bytes float64, err error) {
	settings := noneDue
	if s.size == 0 {
		settings = soonIdle
	}
	p, err := openDialling(policy, s, settings, dial)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	before := allocated()
	if _, err := p.start(); err != nil {
		return 0, err
	}
	if err := awaitSubConns(p, s.subchannels()); err != nil {
		return 0, err
	}
	return allocated() - before, nil
}

// soonIdle are settings with which what is not used is soon closed.
const soonIdle = `"idleTimeout":"1s","maxLifetime":"0s"`

// awaitSubConns waits until there are n: a pool that may have none has one at first.
func awaitSubConns(p *scaledPool, n int) error {
	for end := time.Now().Add(patience); len(p.SubConns()) != n; time.Sleep(afterStart) {
		if time.Now().After(end) {
			return fmt.Errorf("%w: %d SubConns, must be %d", errLate, len(p.SubConns()), n)
		}
	}
	return settle(time.Now().Add(patience), afterStart, p)
}

// allocated is the heap after garbage collection. Pools are emptied by the second.
func allocated() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// bare is a policy that keeps nothing: what is on the heap with it is the channel's own.
const bare = "bare"

func init() { balancer.Register(bareBuilder{}) }

type bareBuilder struct{}

func (bareBuilder) Name() string { return bare }

func (bareBuilder) Build(cc balancer.ClientConn, _ balancer.BuildOptions) balancer.Balancer {
	return barePolicy{cc}
}

type barePolicy struct{ cc balancer.ClientConn }

func (b barePolicy) UpdateClientConnState(s balancer.ClientConnState) error {
	for _, e := range s.ResolverState.Endpoints {
		sc, err := b.cc.NewSubConn(e.Addresses, balancer.NewSubConnOptions{StateListener: func(balancer.SubConnState) {}})
		if err != nil {
			return err
		}
		sc.Connect()
	}
	return nil
}

func (barePolicy) ResolverError(error)                                        {}
func (barePolicy) UpdateSubConnState(balancer.SubConn, balancer.SubConnState) {}
func (barePolicy) Close()                                                     {}
func (barePolicy) ExitIdle()                                                  {}
