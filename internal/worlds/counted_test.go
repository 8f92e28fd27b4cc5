package worlds

import (
	"encoding/json"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/serviceconfig"

	_ "github.com/grpc-subpool/subpool"
)

// countedPolicy is subpool, but what it publishes is counted.
const countedPolicy = "counted_subpool"

func init() { balancer.Register(counting{balancer.Get("subpool")}) }

type counting struct{ balancer.Builder }

func (counting) Name() string { return countedPolicy }

func (b counting) ParseConfig(js json.RawMessage) (serviceconfig.LoadBalancingConfig, error) {
	return b.Builder.(balancer.ConfigParser).ParseConfig(js)
}

func (b counting) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	n, ok := counts.Load(opts.Target.Endpoint())
	if !ok {
		n = new(count)
	}
	c := &countedConn{cc, n.(*count)}
	c.n.mu.Lock()
	c.n.conns = append(c.n.conns, weak.Make(c))
	c.n.mu.Unlock()
	return b.Builder.Build(c, opts)
}

// counts are of the plays that go on, by the endpoint of their target.
var counts sync.Map

type count struct {
	all  atomic.Int64
	spun atomic.Bool

	mu   sync.Mutex
	at   time.Time
	here int // publications at that instant

	conns []weak.Pointer[countedConn] // of the pools
}

// kept reports whether a pool stays in memory. Each has its countedConn. What a sync.Pool
// holds outlives one collection.
func (n *count) kept() (kept bool) {
	for range 5 {
		runtime.GC()
		kept = slices.ContainsFunc(n.conns, func(c weak.Pointer[countedConn]) bool { return c.Value() != nil })
		if !kept {
			break
		}
	}
	return kept
}

// The most publications at one instant of virtual time; beyond it is a busy loop, which is
// broken, for in a bubble it would never end.
const mostAtOnce = 5000

// busy counts one more, and reports whether it is one too many.
func (n *count) busy() bool {
	n.all.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); !now.Equal(n.at) {
		n.at, n.here = now, 0
	}
	if n.here++; n.here > mostAtOnce {
		n.spun.Store(true)
	}
	return n.here > mostAtOnce
}

type countedConn struct {
	balancer.ClientConn
	n *count
}

// UpdateState passes the state on, unless it is part of a busy loop.
func (c *countedConn) UpdateState(s balancer.State) {
	if !c.n.busy() {
		c.ClientConn.UpdateState(s)
	}
}
