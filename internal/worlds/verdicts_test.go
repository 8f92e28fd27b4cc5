package worlds

import (
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

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
	some := w.fails() >= 0 && slices.ContainsFunc(w.Servers, func(s Server) bool { return s.Fails == codes.OK })
	return some && n[1] == n[2]
}

// Each world is played once, with the shortest interval, in which chance decides most.
//
// Guards: `ended < outlierVolume` and `d > outlierEvidence` in evidence.
func TestVerdictsOfDrawnWorldsAreRight(t *testing.T) {
	n := max(*worlds, few)
	var rpcs, verdicts, wrong atomic.Uint64
	eachDrawn(t, *first, n, func(t *testing.T, w *World) {
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
	})
	t.Logf("%d worlds, %d RPCs: %d verdicts, %d of them wrong", n, rpcs.Load(), verdicts.Load(), wrong.Load())
	require.LessOrEqual(t, wrong.Load(), 1+n/1000)
}
