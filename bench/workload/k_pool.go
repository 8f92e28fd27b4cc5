package workload

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	_ "github.com/grpc-subpool/subpool" // registers subpool
	"github.com/grpc-subpool/subpool/bench/fakecc"
	"github.com/grpc-subpool/subpool/bench/server"
)

// roundRobin is gRPC's policy, and ours the name of subpool.
const (
	roundRobin = "round_robin"
	ours       = "subpool"
)

// patience is how long anything that is measured may take. What a sixth of it does not do
// for is measured once.
const patience = 120 * time.Second

var errLate = errors.New("it takes too long")

// A shape is that of a pool: so many endpoints, with so many subchannels each.
type shape struct{ endpoints, size int }

func (s shape) subchannels() int { return s.endpoints * s.size }

func (s shape) String() string { return fmt.Sprintf("%s × %s", commas(s.endpoints), commas(s.size)) }

// commas prints n, which is less than a million.
func commas(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// A scaledPool is a policy in a channel without sockets.
type scaledPool struct {
	*fakecc.ClientConn
	cfg       serviceconfig.LoadBalancingConfig
	endpoints []resolver.Endpoint
	named     int // endpoints, ever
	want      int // SubConns that are READY when nothing is left to do
}

// config is ours for this shape, with these settings beside the size. With size 0 an endpoint
// has one subchannel at first, and none when idleTimeout has passed without RPCs.
func (s shape) config(settings string) string {
	if s.size == 0 {
		return fmt.Sprintf(`{"minSize":0,"maxSize":1,%s}`, settings)
	}
	return fmt.Sprintf(`{"size":%d,%s}`, s.size, settings)
}

// openScaled has another policy, to as many endpoints as the shape has subchannels, or ours
// with these settings beside the size. The resolver has not yet answered.
func openScaled(policy string, s shape, settings string) (*scaledPool, error) {
	return openDialling(policy, s, settings, 50*time.Millisecond)
}

// openDialling does it with dials that take anything up to dial.
func openDialling(policy string, s shape, settings string, dial time.Duration) (*scaledPool, error) {
	builder := balancer.Get(policy)
	p := &scaledPool{want: s.subchannels()}
	if dial == fakecc.Never {
		p.want = 0
	}
	if policy == ours {
		cfg, err := builder.(balancer.ConfigParser).ParseConfig(json.RawMessage(s.config(settings)))
		if err != nil {
			return nil, err
		}
		p.cfg = cfg
	} else {
		s = shape{s.subchannels(), 1}
	}
	for range s.endpoints {
		p.endpoints = append(p.endpoints, p.newEndpoint())
	}
	p.ClientConn = fakecc.New(builder, dial)
	return p, nil
}

func (p *scaledPool) newEndpoint() resolver.Endpoint {
	p.named++
	addr := fmt.Sprintf("10.%d.%d.%d:443", p.named>>16, p.named>>8&255, p.named&255)
	return resolver.Endpoint{Addresses: []resolver.Address{{Addr: addr}}}
}

// exchange puts n new endpoints in the place of old ones, other ones each time.
func (p *scaledPool) exchange(n int) {
	p.endpoints = slices.Clone(p.endpoints) // the policy may keep what it got
	for range n {
		e := p.newEndpoint()
		p.endpoints[p.named%len(p.endpoints)] = e
	}
}

// resolve has the resolver answer.
func (p *scaledPool) resolve() {
	p.Update(balancer.ClientConnState{ResolverState: resolver.State{Endpoints: p.endpoints}, BalancerConfig: p.cfg})
}

// rests reports whether the pool has what it wants, and nothing was told or published since.
func (p *scaledPool) rests(since time.Time) bool { return p.Ready() == p.want && p.Quiet(since) }

// settle waits until all pools rest for as long as quiet. What a policy works at meanwhile
// shows in the processor time.
func settle[P interface{ rests(since time.Time) bool }](end time.Time, quiet time.Duration, pools ...P) error {
	for time.Now().Before(end) {
		began, before := time.Now(), server.CPU()
		time.Sleep(quiet)
		busy := slices.ContainsFunc(pools, func(p P) bool { return !p.rests(began) })
		if !busy && server.CPU()-before < quiet/4 {
			return nil
		}
	}
	return errLate
}

// spend returns the processor time that f takes, which begins with no garbage.
func spend(f func(end time.Time) error) (time.Duration, error) {
	runtime.GC()
	end, before := time.Now().Add(patience), server.CPU()
	err := f(end)
	return server.CPU() - before, err
}

// quietly is for how long nothing may happen after a change, and afterStart after a start.
const (
	quietly    = 20 * time.Millisecond
	afterStart = 100 * time.Millisecond
)

// each is the mean of n changes, one after the other, without what it takes to look as often
// at a pool that does not change. It begins when nothing is left of what came before.
func (p *scaledPool) each(n int, change func(i int)) (time.Duration, error) {
	if err := settle(time.Now().Add(patience), afterStart, p); err != nil {
		return 0, err
	}
	var took [2]time.Duration
	for i, f := range []func(int){func(int) {}, change} {
		var err error
		took[i], err = spend(func(end time.Time) error {
			for i := range n {
				f(i)
				if err := settle(end, quietly, p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return max(0, took[1]-took[0]) / time.Duration(n), nil
}

// start returns what it takes until all connections are there; if they do not come, how far
// it got is told.
func (p *scaledPool) start() (time.Duration, error) {
	start, err := spend(func(end time.Time) error {
		p.resolve()
		return settle(end, afterStart, p)
	})
	if err != nil {
		err = fmt.Errorf("%w: %s READY after %.0f s of processor time", err, commas(p.Ready()), start.Seconds())
	}
	return start, err
}

// usePool opens a pool and starts it, and closes it when f has returned.
func usePool(policy string, s shape, settings string, f func(p *scaledPool, start time.Duration) (values, error)) (values, error) {
	p, err := openScaled(policy, s, settings)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	start, err := p.start()
	if err != nil {
		return nil, err
	}
	return f(p, start)
}

func millis(d time.Duration) float64 { return d.Seconds() * 1e3 }

// lateOnes says what took too long.
func lateOnes(late ...string) string {
	return fmt.Sprintf("Without a figure after %v s: %s.", patience.Seconds(), strings.Join(late, "; "))
}
