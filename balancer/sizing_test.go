package balancer

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

const unlimited = math.MaxInt32

func TestTheSizeFollowsDemand(t *testing.T) {
	for _, c := range []struct {
		name                                    string
		minSize, maxSize, target, demand, limit int
		want                                    int
	}{
		{"nothing to do", 1, 16, 100, 0, unlimited, 1},
		{"asleep", 0, 16, 100, 0, unlimited, 0},
		{"a little", 0, 16, 100, 1, unlimited, 1},
		{"up to four fifths of the target", 1, 16, 100, 80, unlimited, 1},
		{"ahead of need", 1, 16, 100, 81, unlimited, 2},
		{"never above maxSize", 1, 16, 100, 1e9, unlimited, 16},
		{"never below minSize", 8, 16, 100, 1, unlimited, 8},
		{"the server's limit, where it is smaller", 1, 16, 100, 81, 50, 3},
		{"a limit of 0 is no reason to grow", 2, 16, 100, 1000, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := &config.Config{MinSize: c.minSize, MaxSize: c.maxSize, TargetStreams: c.target}
			assert.Equal(t, c.want, sizeFor(cfg, c.demand, c.limit))
		})
	}
}

func TestOutgrowsIsWhereTheSizeChanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 10000 {
		cfg := &config.Config{MaxSize: 2 + rng.IntN(1000), TargetStreams: 1 + rng.IntN(1000)}
		limit := 1 + rng.IntN(1000)
		size := rng.IntN(cfg.MaxSize)
		at := outgrows(cfg, size, limit)
		require.Greater(t, sizeFor(cfg, at, limit), size, "%+v size %d limit %d", cfg, size, limit)
		require.LessOrEqual(t, sizeFor(cfg, at-1, limit), size, "%+v size %d limit %d", cfg, size, limit)
	}
	assert.Zero(t, outgrows(&config.Config{MaxSize: 4, TargetStreams: 100}, 4, unlimited), "at the maximum")
	assert.Zero(t, outgrows(&config.Config{MaxSize: 4, TargetStreams: 100}, 1, 0), "with a limit of 0")
}

func TestTheWindowRemembersAPeakForIdleTimeout(t *testing.T) {
	const idleTimeout = 16 * time.Second
	var w window
	w.observe(30, idleTimeout, start)
	for s := range 60 {
		now := start.Add(time.Duration(s) * 500 * time.Millisecond)
		w.observe(2, idleTimeout, now)
		switch age := now.Sub(start); {
		case age <= idleTimeout:
			require.Equal(t, 30, w.peak(), "%v", age)
		case age >= idleTimeout+idleTimeout/samples:
			require.Equal(t, 2, w.peak(), "%v", age)
		}
	}
}

func TestTheWindowForgetsAfterALongSilence(t *testing.T) {
	var w window
	w.observe(30, time.Second, start)
	w.observe(0, time.Second, start.Add(time.Hour))
	assert.Zero(t, w.peak())
}

func TestWithoutIdleTimeoutNothingShrinks(t *testing.T) {
	var w window
	w.observe(30, 0, start)
	w.observe(0, 0, start.Add(1000*time.Hour))
	assert.Equal(t, 30, w.peak())
}
