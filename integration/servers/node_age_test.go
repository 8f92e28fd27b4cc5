package servers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// grpc-node ends a connection that is old by two frames, the second right behind the first:
// a GOAWAY that refuses nothing, and one that refuses all streams that the server has not
// seen. What the client has sent within a round trip is on its way then. gRPC tries a
// refused RPC once more, and only once; a plain channel does so on a new connection.
func TestAPoolLosesNoMoreThanAPlainChannelWhereGRPCNodeEndsOldConnections(t *testing.T) {
	const oneWay, interval, rpcs = 25 * time.Millisecond, time.Second / 300, 12 * 300
	server, version := startNode(t, `{"grpc.max_connection_age_ms": 3000}`, 0)
	addr := startLink(t, tcp(server), oneWay)

	plain := openPlain(t, addr, 1)
	pools := []*client{openPool(t, addr, 4), openPool(t, addr, 8)}
	all := append([]*client{plain, openPlain(t, addr, 4), openPlain(t, addr, 8)}, pools...)
	load{interval: interval, rpcs: rpcs}.play(0, nil, all...)

	for _, c := range all {
		t.Log(c)
		assert.Greater(t, int(c.conns.Load()), c.size, "%s: no connection has ended", c.name)
	}
	for _, pool := range pools {
		assert.LessOrEqual(t, pool.lost.Load(), plain.lost.Load(), "the %s lost more of what was refused than the plain channel", pool.name)
	}
	if version < 20 {
		return // node 18 also ends RPCs that it has taken, of any client
	}
	assert.Positive(t, plain.repeated.Load(), "nothing was refused")
	for _, pool := range pools {
		assert.LessOrEqual(t, pool.failed, plain.failed, "the %s lost more RPCs than the plain channel", pool.name)
	}
}
