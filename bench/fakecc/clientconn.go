// Package fakecc is a channel without sockets: a policy has connections in it that come
// a moment after they are asked for, and nothing but the policy takes processor time.
package fakecc

import (
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/experimental/stats"
	"google.golang.org/grpc/resolver"
)

// A ClientConn has a policy. As in gRPC, all that it tells the policy comes from one
// goroutine, in order.
type ClientConn struct {
	balancer.ClientConn // nil: what policies do not call is not here
	policy              balancer.Balancer
	dial                time.Duration // the longest that one takes
	events              queue

	mu    sync.Mutex
	alive map[*SubConn]struct{} // those that are not shut down
	state balancer.State

	ready, made, published atomic.Int64
	changedAt              atomic.Int64 // Unix time in ns
}

// Never is how long dials take that never end: what connects stays CONNECTING.
const Never time.Duration = -1

// New builds a policy in a channel whose dials take anything up to dial, or Never: of
// connections that came all in one moment a policy might make one publication.
func New(policy balancer.Builder, dial time.Duration) *ClientConn {
	cc := &ClientConn{dial: dial, alive: make(map[*SubConn]struct{})}
	cc.events.begin()
	cc.policy = policy.Build(cc, balancer.BuildOptions{})
	return cc
}

// Update tells the policy what a resolver says. It does not wait.
func (cc *ClientConn) Update(s balancer.ClientConnState) {
	cc.tell(func() { _ = cc.policy.UpdateClientConnState(s) })
}

// Close ends the policy when it is through with what it does now: it is told nothing more.
func (cc *ClientConn) Close() {
	cc.events.end()
	cc.policy.Close()
}

// tell has the goroutine call f.
func (cc *ClientConn) tell(f func()) {
	cc.events.add(func() {
		f()
		cc.changed()
	})
}

func (cc *ClientConn) changed() { cc.changedAt.Store(time.Now().UnixNano()) }

// Quiet reports whether nothing has been told by either side since then, and nothing is left to be.
func (cc *ClientConn) Quiet(since time.Time) bool {
	return cc.events.empty() && cc.changedAt.Load() <= since.UnixNano()
}

// Ready is how many SubConns are READY.
func (cc *ClientConn) Ready() int { return int(cc.ready.Load()) }

// Made is how many SubConns there ever were.
func (cc *ClientConn) Made() int { return int(cc.made.Load()) }

// Published is how often the policy gave a picker.
func (cc *ClientConn) Published() int { return int(cc.published.Load()) }

// State is what the policy gave last.
func (cc *ClientConn) State() balancer.State {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	return cc.state
}

// SubConns are those that are not shut down, in any order.
func (cc *ClientConn) SubConns() []*SubConn {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	all := make([]*SubConn, 0, len(cc.alive))
	for sc := range cc.alive {
		all = append(all, sc)
	}
	return all
}

// NewSubConn is called by the policy, as is all that follows.
func (cc *ClientConn) NewSubConn(_ []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	sc := &SubConn{cc: cc, listener: opts.StateListener}
	cc.made.Add(1)
	cc.mu.Lock()
	defer cc.mu.Unlock()
	cc.alive[sc] = struct{}{}
	return sc, nil
}

// UpdateState keeps the picker.
func (cc *ClientConn) UpdateState(s balancer.State) {
	cc.mu.Lock()
	cc.state = s
	cc.mu.Unlock()
	cc.published.Add(1)
	cc.changed()
}

// ResolveNow asks nobody.
func (*ClientConn) ResolveNow(resolver.ResolveNowOptions) {}

// Target is what was dialled.
func (*ClientConn) Target() string { return "fake" }

// MetricsRecorder records nothing, as with a channel that has no metrics.
func (*ClientConn) MetricsRecorder() stats.MetricsRecorder {
	return stats.UnimplementedMetricsRecorder{}
}
