//go:build linux

package service

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// steady is a load of which a machine that is busy with other tests fails no RPC.
var steady = load{callers: 8, pace: 5 * time.Millisecond, deadline: 20 * time.Second}

// await waits until the load has made so many RPCs.
func await(t *testing.T, r *run, rpcs int) {
	t.Helper()
	require.Eventually(t, func() bool { return r.total() >= rpcs }, time.Minute, time.Millisecond)
}

func TestABackendThatIsAddedIsFoundByRenewals(t *testing.T) {
	s := startService(t, 3, time.Millisecond)
	s.route(t, 0, 1)
	plain, pool := steady.start(openPlain(t)), steady.start(openPool(t, `,"maxLifetime":"2s"`))
	await(t, plain, 200)
	await(t, pool, 200)
	s.route(t, 0, 1, 2)
	added := time.Now()
	require.Eventually(t, func() bool { return pool.answers(2) > 0 }, time.Minute, time.Millisecond, "the pool does not find it")
	found := time.Since(added)
	byPlain := plain.answers(2)
	plainSum, poolSum := plain.end(), pool.end()
	t.Logf("a backend is added, maxLifetime 2 s: plain: %d RPCs reach it, %v; pool of 8: found after %.1f s, %v", byPlain, plainSum, found.Seconds(), poolSum)
	assert.Zero(t, byPlain, "a connection that is there has its backend")
	assert.Zero(t, poolSum.failed)
}

// kube-proxy leaves alone what is connected to a backend that is ready no more, so that its RPCs
// can end. If it ends before its clients have gone, theirs are lost.
func TestAPoolHasLeftABackendThatIsRemovedBeforeItStops(t *testing.T) {
	s := startService(t, 3, 10*time.Millisecond)
	const leaves = 0
	plainChannel := openOnto(leaves, func() *channel { return openPlain(t) })
	poolChannel := openOnto(leaves, func() *channel { return openPool(t, `,"maxLifetime":"2s"`) })
	plain, pool := steady.start(plainChannel), steady.start(poolChannel)
	await(t, plain, 200)
	await(t, pool, 200)
	s.route(t, 1, 2)
	removed := time.Now()
	before := plain.answers(leaves)
	require.Eventually(t, func() bool { return poolChannel.on(leaves) == 0 }, time.Minute, time.Millisecond, "the pool stays")
	left := time.Since(removed)
	require.Eventually(t, func() bool { return plain.answers(leaves) > before }, time.Minute, time.Millisecond, "the kernel ends what is connected")
	s.backends[leaves].server.Stop()
	await(t, plain, plain.total()+200)
	plainSum, poolSum := plain.end(), pool.end()
	t.Logf("a backend is removed, and stops later, maxLifetime 2 s: plain: stays until it stops, %v; pool of 8: has left after %.1f s, %v", plainSum, left.Seconds(), poolSum)
	assert.Positive(t, plainSum.failed, "the backend must stop with RPCs")
	assert.Zero(t, poolSum.failed)
}
