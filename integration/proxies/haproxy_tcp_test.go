package proxies

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPoolSpreadsOverTheServersBehindHAProxy(t *testing.T) {
	backends := startBackends(t, 3, 2*time.Millisecond)
	h := startHAProxy(t, haproxyOptions{}, backends)
	plain, pool := openPlain(t, h.addr), openPool(t, h.addr, `{"size":6}`)
	pool.spread(t, 6)
	forget(backends)
	sums := load{callers: 24, rpcs: 10_000}.run(plain, pool)
	compare(t, "HAProxy, 3 servers", sums)
	assert.Zero(t, sums["pool"].failed)

	t.Logf("of the RPCs each server got: plain %.1f %%, pool %.1f %%", share(backends, "plain"), share(backends, "pool"))
	for _, percent := range share(backends, "pool") {
		assert.InDelta(t, 100./3, percent, 5)
	}
}

func TestAServerThatJoinsBehindHAProxyGetsItsShareWithinAMaxLifetime(t *testing.T) {
	backends := startBackends(t, 3, 2*time.Millisecond)
	h := startHAProxy(t, haproxyOptions{}, backends)
	require.Equal(t, "\n", h.admin("disable server servers/2"))
	plain, pool := openPlain(t, h.addr), openPool(t, h.addr, `{"size":6,"maxLifetime":"1s"}`)
	pool.spread(t, 6)

	r := load{callers: 12, rpcs: 8_000, pace: 12 * time.Millisecond}.start(plain, pool)
	r.reach(1000)
	assert.Zero(t, share(backends, "pool")[2])
	require.Equal(t, "\n", h.admin("enable server servers/2"))
	old := pool.dialled()
	require.Eventually(t, func() bool { return len(h.ended(t, old)) == len(old) }, time.Minute, 5*time.Millisecond,
		"connections that were made before have outlived maxLifetime")
	forget(backends)
	sums := r.wait()
	compare(t, "HAProxy, a third server joins", sums)
	assert.Zero(t, sums["pool"].failed)

	t.Logf("of the RPCs each server got: plain %.1f %%, pool %.1f %%", share(backends, "plain"), share(backends, "pool"))
	for _, percent := range share(backends, "pool") {
		assert.InDelta(t, 100./3, percent, 12)
	}
}

// The server dies that the plain channel has, and a third of the pool's connections.
func TestOnlyRPCsOnItsConnectionsFailWhenAServerBehindHAProxyDies(t *testing.T) {
	backends := startBackends(t, 3, 10*time.Millisecond)
	h := startHAProxy(t, haproxyOptions{}, backends)
	plain, pool := openPlain(t, h.addr), openPool(t, h.addr, `{"size":6}`)
	pool.spread(t, 6)
	victim := slices.IndexFunc(backends, func(b *backend) bool { return b.most("plain") > 0 })

	r := load{callers: 48, rpcs: 10_000}.start(plain, pool)
	r.reach(3000)
	old := pool.dialled()
	backends[victim].Stop()
	forget(backends)
	sums := r.wait()
	compare(t, "HAProxy, a server killed", sums)
	assert.Positive(t, sums["pool"].failed, "the test must hit RPCs")
	ends := h.ended(t, old)
	for conn := range sums["pool"].failedOn {
		e, ended := ends[conn]
		assert.True(t, ended && e.server == victim, "an RPC failed on connection %q, to server %d", conn, e.server)
	}

	pool.spread(t, 6)
	t.Logf("of the RPCs since then each server got: plain %.1f %%, pool %.1f %%", share(backends, "plain"), share(backends, "pool"))
}

// HAProxy closes what is silent for timeout, and in TCP mode has no way to say so before.
func TestAPoolIsRefreshedBeforeHAProxyClosesSilentConnections(t *testing.T) {
	h := startHAProxy(t, haproxyOptions{timeout: "3s"}, startBackends(t, 3, 0))
	plain := openPlain(t, h.addr)
	pool := openPool(t, h.addr, `{"size":6,"idleTimeout":"1s"}`)
	unrefreshed := openPool(t, h.addr, `{"size":6,"idleTimeout":"0s"}`)
	require.Eventually(t, func() bool { return h.timedOut(t, unrefreshed) >= 3*6 }, time.Minute, 10*time.Millisecond,
		"HAProxy does not close silent connections")
	sums := load{callers: 6, rpcs: 600}.run(plain, pool)
	compare(t, "HAProxy timeout 3s, after silence", sums)
	assert.Zero(t, sums["pool"].failed)

	t.Logf("connections timed out: plain %d of %d, pool %d of %d, without idleTimeout %d of %d", h.timedOut(t, plain), len(plain.dialled()),
		h.timedOut(t, pool), len(pool.dialled()), h.timedOut(t, unrefreshed), len(unrefreshed.dialled()))
	assert.Zero(t, h.timedOut(t, pool))
}
