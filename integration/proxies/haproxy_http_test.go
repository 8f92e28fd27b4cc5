package proxies

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPoolGrowsAtHAProxysLimitOfStreams(t *testing.T) {
	backends := startBackends(t, 1, 2*time.Millisecond)
	h := startHAProxy(t, haproxyOptions{http: true, global: "tune.h2.max-concurrent-streams 8"}, backends)
	plain, pool := openPlain(t, h.addr), openPool(t, h.addr, `{"maxSize":8}`)
	compare(t, "HAProxy tune.h2.max-concurrent-streams 8", load{callers: 64, rpcs: 20_000}.run(plain, pool))
	assertGrown(t, backends[0], pool)
}

// Each process ends when it has no connection any more, and tells them so.
func TestHAProxyReloadsUnderLoad(t *testing.T) {
	h := startHAProxy(t, haproxyOptions{http: true}, startBackends(t, 3, time.Millisecond))
	plain, pool := openPlain(t, h.addr), openPool(t, h.addr, `{"size":8}`)
	r := load{callers: 32, rpcs: 32_000, pace: 8 * time.Millisecond}.start(plain, pool)
	for reloads := range 7 {
		r.reach(4000 * (reloads + 1))
		old := h.reload(t)
		select {
		case <-old.Ended:
		case <-time.After(20 * time.Second):
			require.Fail(t, "the old process does not end")
		}
	}
	compare(t, "HAProxy -sf, 7 times", r.wait())
	t.Logf("connections made: plain %d, pool %d", len(plain.dialled()), len(pool.dialled()))
	assert.Greater(t, len(plain.dialled()), 1)
	assert.Greater(t, len(pool.dialled()), 8)
}
