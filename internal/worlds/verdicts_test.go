package worlds

import (
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

var outlierWords = regexp.MustCompile(`failed (\d+) of (\d+) RPCs, its siblings \d+ of \d+`)

// outliers are the verdicts of the last decisions of a pool.
func outliers(target string) (all []string) {
	for _, h := range subpool.Pools() {
		if p, ok := h.Snapshot(); ok && p.Target == target {
			for _, d := range p.Decisions {
				if d.What == "suspected" && outlierWords.MatchString(d.Why) {
					all = append(all, d.Why)
				}
			}
		}
	}
	return all
}

// right reports whether a verdict was on a connection that failed all RPCs, as those to a server do,
// and not those to all.
func (w *World) right(verdict string) bool {
	n := outlierWords.FindStringSubmatch(verdict)
	fails := slices.IndexFunc(w.Servers, func(s Server) bool { return s.Fails == 0 }) >= 0 && w.fails() >= 0
	return fails && n[1] == n[2]
}

// Each world is played once, with the shortest interval, in which chance decides most.
//
// Guards: each bound in evidence: without it connections are replaced that are as good as any.
func TestVerdictsOfDrawnWorldsAreRight(t *testing.T) {
	n := max(*worlds, few)
	var next, rpcs, verdicts, wrong atomic.Uint64
	t.Run("in parallel", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for s := next.Add(1); s <= n; s = next.Add(1) {
					w := drawWorld(*first + s - 1)
					w.Setting = strings.Replace(w.Setting, "{", `{"outlierInterval":"100ms",`, 1)
					w.Setting = strings.Replace(w.Setting, ",}", "}", 1)
					pool := w.pool()
					pool.recorder = harness.NewRecorder()
					f := w.play(t, pool, 1)
					rpcs.Add(uint64(f.rpcs))
					for _, v := range f.outliers {
						if verdicts.Add(1); !w.right(v) {
							wrong.Add(1)
							t.Logf("world %d: %s\n%v", w.Seed, v, w)
						}
					}
				}
			})
		}
	})
	t.Logf("%d worlds, %d RPCs: %d verdicts, %d of them wrong", n, rpcs.Load(), verdicts.Load(), wrong.Load())
	require.LessOrEqual(t, wrong.Load(), 1+n/1000)
}
