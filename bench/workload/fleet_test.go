package workload

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

func fixed() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func TestConnectionsThatAreKeptNeverFindTheNewBackends(t *testing.T) {
	o := simulation{clients: 1000, size: 4, before: 10, after: 20}.run(fixed())
	require.InDelta(t, 2, o.imbalance[0], 0.3, "ten of twenty have all")
	require.InDelta(t, o.imbalance[0], o.imbalance[90], 0)
	require.Zero(t, o.most, "no client dials after the start")
}

func TestAFleetIsBalancedWhenEachConnectionHasBeenReplacedOnce(t *testing.T) {
	s := simulation{clients: 10_000, size: 4, maxLifetime: 30 * time.Minute, jitter: 0.25, before: 10, after: 20}
	o := s.run(fixed())
	require.InDelta(t, 2, o.imbalance[0], 0.1)
	require.Less(t, o.imbalance[31], 1.1)
}

// What the library's own arithmetic promises of a fleet, counted out.
func TestTheSimulationAgreesWithExplain(t *testing.T) {
	for _, jitter := range []float64{0, 0.1, 0.25, 0.5, 1} {
		t.Run(fmt.Sprint("jitter ", jitter), func(t *testing.T) {
			e, err := subpool.Explain(fmt.Sprintf(`{"size":4,"maxLifetime":"10m","lifetimeJitter":%v,"idleTimeout":"0s"}`, jitter))
			require.NoError(t, err)
			f := e.Fleet(10_000, 1)
			o := simulation{clients: 10_000, size: 4, maxLifetime: 10 * time.Minute, jitter: jitter, before: 1, after: 1}.run(fixed())
			require.InEpsilon(t, f.BusyDials/3600, o.mean, 0.06, "the first life began before the count")
			// Explain has all begin at once, here they take ten seconds.
			wave := max(f.BusyWave, float64(f.RestartDials)/begins.Seconds())
			require.Less(t, float64(o.most), 1.25*wave, "chance adds some")
		})
	}
}

// The pool itself, in virtual time: 20 clients with four connections each, for as long as
// the simulation lasts, which must make as many dials.
func TestTheSimulationDialsAsOftenAsRealPools(t *testing.T) {
	const clients = 20
	var dialed int
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		for range clients {
			cc := s.NewClient(t, harness.Policy(`{"size":4,"maxLifetime":"10m","lifetimeJitter":0.5,"idleTimeout":"0s"}`), grpc.WithIdleTimeout(0))
			cc.Connect()
		}
		time.Sleep(time.Minute)
		first := s.Dials()
		require.Equal(t, 4*clients, first)
		time.Sleep(fleetEnds - time.Minute)
		dialed = s.Dials() - first
	})
	o := simulation{clients: clients, size: 4, maxLifetime: 10 * time.Minute, jitter: 0.5, before: 1, after: 1}.run(fixed())
	simulated := o.mean * (fleetEnds - time.Minute).Seconds()
	t.Log(dialed, simulated)
	// About 2,240, and chance alone makes two of these differ by 13 (one standard deviation).
	require.InDelta(t, simulated, dialed, 80)
}
