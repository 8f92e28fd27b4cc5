package workload

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"

	"github.com/grpc-subpool/subpool/bench/fakecc"
)

func TestWhatAPolicyIsToldAndGivesIsHeard(t *testing.T) {
	for _, policy := range []string{roundRobin, ours} {
		t.Run(policy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				heard := heardBy(policy)
				require.Nil(t, heard())
				p, err := openScaled(policy, shape{3, 1}, noneDue)
				require.NoError(t, err)
				p.ClientConn.Close()
				p.ClientConn = fakecc.New(balancer.Get(hearing+policy), 0)
				defer p.Close()
				told := func() {
					time.Sleep(2 * proven) // a connection that was lost at once is waited for
					synctest.Wait()
					require.EqualValues(t, p.Ready(), heard().ready.Load())
					require.EqualValues(t, p.Published(), heard().published.Load())
				}
				p.resolve()
				told()
				require.Equal(t, 3, p.Ready())
				before := heard().changedAt.Load()
				p.SubConns()[0].Lose()
				told()
				require.Equal(t, 3, p.Ready())
				require.Greater(t, heard().changedAt.Load(), before)
				p.SubConns()[0].Shutdown()
				told()
			})
		})
	}
}

func TestMemoryIsBeyondWhatTheSubConnsTake(t *testing.T) {
	v, err := keep(bare, shape{1000, 1}, fakecc.Never)
	require.NoError(t, err)
	require.InDelta(t, 0, v["memory"], 100)
}
