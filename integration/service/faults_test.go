//go:build linux

package service

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// impatient is a load whose RPCs end well on a machine that is busy, and soon where nobody
// answers.
var impatient = load{callers: 3, pace: 30 * time.Millisecond, deadline: time.Second}

// dials that lead nowhere end after a second, and not after gRPC's 20.
var dials = grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second})

// A Service's rules name a dead node until the cluster has noticed: by Kubernetes' defaults
// after 40 to 50 s, here after 3. Which connections lead there is chance, so there are four
// channels of each kind, every one with the dead node among its backends.
func TestANodeThatDiesCostsAPoolLess(t *testing.T) {
	s := startService(t, 3, 0)
	const dies = 0
	// gRPC gives TCP the timeout, too: so long may what was sent go without an acknowledgement.
	ping := grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: time.Second})
	plain := kind{"plain", func() *channel { return openPlain(t, dials) }}
	bare := kind{"pool of 8, no setting", func() *channel { return openPool(t, "", dials) }}
	pinging := kind{"plain, keepalive", func() *channel { return openPlain(t, dials, ping) }}
	detecting := kind{"pool of 8, unresponsiveTimeout 1 s", func() *channel { return openPool(t, `,"unresponsiveTimeout":"1s"`, dials) }}
	poolPinging := kind{"pool of 8, keepalive", func() *channel { return openPool(t, "", dials, ping) }}
	kinds := []kind{plain, bare, pinging, detecting, poolPinging}

	groups := make(map[string]*group)
	for _, k := range kinds {
		groups[k.name] = k.start(dies, 4)
	}
	s.kill(t, dies)
	died := time.Now()
	time.Sleep(3 * time.Second)
	s.route(t, 1, 2)
	time.Sleep(time.Until(died.Add(6 * time.Second)))
	before := make(map[string]outcome)
	for _, k := range kinds {
		before[k.name] = groups[k.name].sum()
	}
	time.Sleep(2 * time.Second)
	failed := make(map[string]int)
	for _, k := range kinds {
		sum := groups[k.name].end()
		failed[k.name] = sum.failed
		t.Logf("a node dies: %s: %v, %d of them later than 6 s, by 4 channels", k.name, sum, sum.failed-before[k.name].failed)
	}
	assert.Less(t, failed[detecting.name], failed[plain.name])
	assert.Less(t, failed[poolPinging.name], failed[plain.name])
	assert.Positive(t, groups[plain.name].on(dies), "nothing tells a plain channel")
}

// A kind is one of those that are compared.
type kind struct {
	name string
	open func() *channel
}

// A group is channels of a kind, under load.
type group struct{ runs []*run }

func (k kind) start(onto, n int) *group {
	g := new(group)
	for range n {
		g.runs = append(g.runs, impatient.start(openOnto(onto, k.open)))
	}
	return g
}

func (g *group) on(backend int) (n int) {
	for _, r := range g.runs {
		n += r.channel.on(backend)
	}
	return n
}

func (g *group) sum() (sum outcome) {
	for _, r := range g.runs {
		r.mu.Lock()
		sum = sum.plus(r.outcome)
		r.mu.Unlock()
	}
	return sum
}

func (g *group) end() outcome {
	for _, r := range g.runs {
		r.stopped.Store(true)
	}
	for _, r := range g.runs {
		r.ended.Wait()
	}
	return g.sum()
}

// What a NAT has forgotten vanishes if it takes only new connections for new ones, as cloud NATs
// and firewalls do.
func TestAPoolIsRefreshedBeforeItsFlowsAreForgotten(t *testing.T) {
	plain, unrefreshed, pool := forget(t, "0")
	t.Logf("forgotten flows are dropped: plain: %v; pool of 8, no idleTimeout: %v; pool of 8, idleTimeout 2 s: %v", plain, unrefreshed, pool)
	assert.Equal(t, plain.made, plain.failed, "silence is to last")
	assert.Positive(t, unrefreshed.failed)
	assert.Zero(t, pool.failed)
}

// As Linux is set by default it takes what it has forgotten for new, and draws a backend once
// more: most of these know nothing of the connection, and reset it.
func TestAPoolIsRefreshedBeforeItsFlowsAreSentElsewhere(t *testing.T) {
	plain, unrefreshed, pool := forget(t, "1")
	t.Logf("forgotten flows get another backend: plain: %v; pool of 8, no idleTimeout: %v; pool of 8, idleTimeout 2 s: %v", plain, unrefreshed, pool)
	assert.Zero(t, pool.failed)
}

// forget lets channels be silent until the kernel has forgotten the flow of the plain one, and
// then makes RPCs on them.
func forget(t *testing.T, loose string) (plain, unrefreshed, pool outcome) {
	t.Helper()
	startService(t, 3, 0)
	setting(t, "nf_conntrack_tcp_timeout_established", "4")
	setting(t, "nf_conntrack_tcp_loose", loose)
	channels := []*channel{openPlain(t), openPool(t, `,"idleTimeout":"0s"`), openPool(t, `,"idleTimeout":"2s"`)}
	silent := slices.Concat(channels[0].known(), channels[1].known())
	require.Eventually(t, func() bool { return !tracked(t, silent) }, time.Minute, 10*time.Millisecond, "the kernel does not forget")
	var runs []*run
	for _, c := range channels {
		runs = append(runs, impatient.start(c))
	}
	await(t, runs[0], 2*impatient.callers) // those of plain take until their deadlines
	await(t, runs[2], 100)
	return runs[0].end(), runs[1].end(), runs[2].end()
}
