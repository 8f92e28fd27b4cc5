package worlds

import (
	"flag"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

var (
	worlds = flag.Uint64("worlds", 0, "how many worlds are drawn; 0 is a few")
	first  = flag.Uint64("first", 1, "the seed of the first of them")
	seed   = flag.Uint64("seed", 0, "the seed of the only world that is drawn")
)

func init() { flag.Uint64Var(seed, "world.seed", 0, "the same as -seed") }

// TestDrawnWorlds plays worlds that are drawn at random. One that fails says how it is
// played again.
func TestDrawnWorlds(t *testing.T) {
	from, n := *first, *worlds
	switch {
	case *seed != 0:
		from, n = *seed, 1
	case n == 0:
		n = few
	}
	var failed atomic.Uint64
	begin := time.Now()
	eachDrawn(t, from, n, func(t *testing.T, w *World) {
		began := time.Now()
		v := w.judge(t, w.pool(), appeal, last)
		if took := time.Since(began); took > 5*time.Second {
			t.Logf("world %d took %v", w.Seed, took)
		}
		switch {
		case v.worse != nil:
			failed.Add(1)
			t.Errorf("%v  again: go test ./internal/worlds -run TestDrawnWorlds -v -seed %d\n", v, w.Seed)
		case *seed != 0:
			t.Log(v)
		}
	})
	t.Logf("%d worlds in %v, %d failed", n, time.Since(begin).Round(time.Millisecond), failed.Load())
}

// eachDrawn plays the worlds of n seeds, in as many goroutines as may run.
func eachDrawn(t *testing.T, from, n uint64, play func(*testing.T, *World)) {
	var next atomic.Uint64
	next.Store(from)
	t.Run("in parallel", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for s := next.Add(1) - 1; s < from+n; s = next.Add(1) - 1 {
					play(t, drawWorld(s))
				}
			})
		}
	})
}
