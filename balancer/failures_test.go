package balancer

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
)

type healthySubConn struct{ silentSubConn }

func (healthySubConn) RegisterHealthListener(func(balancer.SubConnState)) {}

// Where all RPCs fail alike, whatever the server, a new connection without failures would be the least
// loaded of all until as many have failed on it.
//
// Guards: `siblings < 2` and `s.conn.load.Blocked()` in leastFailures,
// `c.load.BeginWithFailures(s.endpoint.leastFailures())` in connectedLocked.
func TestANewConnectionBeginsWithTheLeastFailuresOfItsSiblings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // half of them go with each second
		r := restart(t)
		for i, failures := range []uint64{1000, 600} {
			r.connect(r.subs[i], start)
			r.subs[i].conn.load.BeginWithFailures(failures, failures/2)
		}
		begins := func(s *subchannel) [2]uint64 {
			r.connect(s, start)
			s.conn.subConn.sc = healthySubConn{}
			s.conn = nil
			r.p.connectedLocked(s)
			return [2]uint64{s.conn.load.Failures(), s.conn.load.FailedInARow()}
		}
		require.Equal(t, [2]uint64{600, 300}, begins(r.subs[2]))
		r.subs[1].conn.load.SetLimit(0)
		require.Zero(t, begins(r.subs[2]), "one may fail by itself, and one that takes no RPC says nothing")
		r.connect(r.subs[1], start) // anew
		require.Zero(t, begins(r.subs[2]))
	})
}
