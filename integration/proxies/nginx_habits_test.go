package proxies

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// With its last request a connection gets a GOAWAY, which refuses those that are on
// their way. gRPC tries a refused RPC once more, and only once. Before two connections have
// ended the pool does not know the number.
func TestNothingIsLostWhereNginxEndsEachConnectionAfterFiftyRequests(t *testing.T) {
	n := startNginx(t, "keepalive_requests 50;", startBackends(t, 2, 0))
	plain, pool := openPlain(t, n.addr), openPool(t, n.addr, `{"size":8}`)
	sums := load{callers: 64, rpcs: 100_000}.run(plain, pool)
	compare(t, "nginx keepalive_requests 50", sums)
	const first = 1000
	t.Logf("of the failures after the first %d RPCs: plain %d, pool %d",
		first, sums["plain"].failedAfter(first), sums["pool"].failedAfter(first))
	assert.LessOrEqual(t, sums["pool"].failed, 5)
	assert.Zero(t, sums["pool"].failedAfter(first))

	saw := n.saw(t)
	t.Logf("nginx saw: plain %+v, pool %+v", saw["plain"], saw["pool"])
	for _, name := range []string{"plain", "pool"} {
		answered := sums[name].made - sums[name].failed
		assert.Equal(t, 50, saw[name].mostRequests)
		assert.GreaterOrEqual(t, saw[name].connections, answered/50)
	}
}

func TestAPoolGrowsAtNginxsLimitOfStreams(t *testing.T) {
	backends := startBackends(t, 1, 2*time.Millisecond)
	n := startNginx(t, "http2_max_concurrent_streams 8;", backends)
	plain, pool := openPlain(t, n.addr), openPool(t, n.addr, `{"maxSize":8}`)
	compare(t, "nginx http2_max_concurrent_streams 8", load{callers: 64, rpcs: 20_000}.run(plain, pool))
	assertGrown(t, backends[0], pool)
}

// assertGrown demands that a limit of 8 streams held plain back, and not the pool of
// at most 8 connections.
func assertGrown(t *testing.T, b *backend, pool *channel) {
	t.Helper()
	t.Logf("RPCs at a time: plain at most %d, pool %d", b.most("plain"), b.most("pool"))
	assert.Equal(t, 8, b.most("plain"))
	assert.Greater(t, b.most("pool"), 8)
	assert.Len(t, pool.dialled(), 8)
}

// Many channels, each with an RPC whenever its last connection has been silent for just
// about as long as nginx allows.
func TestNginxEndsConnectionsThatAreSilentForASecond(t *testing.T) {
	n := startNginx(t, "keepalive_timeout 1s;", startBackends(t, 1, 0))
	const pairs, size = 32, 4
	var channels []*channel
	for range pairs {
		channels = append(channels, openPlain(t, n.addr), openPool(t, n.addr, `{"size":4}`))
	}
	compare(t, "nginx keepalive_timeout 1s", load{callers: 1, rpcs: 12, pace: time.Second}.run(channels...))

	dialled := make(map[string]int)
	for _, c := range channels {
		dialled[c.name] += len(c.dialled())
	}
	t.Logf("connections made: %v", dialled)
	assert.Greater(t, dialled["plain"], pairs)
	assert.Greater(t, dialled["pool"], pairs*size)
}

// The workers that end refuse what comes, on all their connections at the same time.
func TestNginxReloadsUnderLoad(t *testing.T) {
	n := startNginx(t, "", startBackends(t, 2, time.Millisecond))
	plain, pool := openPlain(t, n.addr), openPool(t, n.addr, `{"size":8}`)
	r := load{callers: 32, rpcs: 32_000, pace: 8 * time.Millisecond}.start(plain, pool)
	for reloads := range 7 {
		r.reach(4000 * (reloads + 1))
		n.reload(t)
	}
	compare(t, "nginx -s reload, 7 times", r.wait())
	t.Logf("connections made: plain %d, pool %d", len(plain.dialled()), len(pool.dialled()))
	assert.Greater(t, len(pool.dialled()), 8) // one that is never without an RPC nginx may leave alone
}
