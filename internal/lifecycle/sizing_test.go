package lifecycle

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

func TestTheSizeFollowsDemand(t *testing.T) {
	for _, c := range []struct {
		name                                    string
		minSize, maxSize, target, demand, limit int
		want                                    int
	}{
		{"nothing to do", 1, 16, 100, 0, NoLimit, 1},
		{"asleep", 0, 16, 100, 0, NoLimit, 0},
		{"a little", 0, 16, 100, 1, NoLimit, 1},
		{"one RPC never calls for more, however small the limit", 0, 16, 100, 1, 1, 1},
		{"up to four fifths of the target", 1, 16, 100, 80, NoLimit, 1},
		{"ahead of need", 1, 16, 100, 81, NoLimit, 2},
		{"never above maxSize", 1, 16, 100, 1e9, NoLimit, 16},
		{"never below minSize", 8, 16, 100, 1, NoLimit, 8},
		{"the server's limit, where it is smaller", 1, 16, 100, 81, 50, 3},
		{"a limit of 0 is no reason to grow", 2, 16, 100, 1000, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := config.Config{MinSize: c.minSize, MaxSize: c.maxSize, TargetStreams: c.target}
			assert.Equal(t, c.want, sizeFor(s, c.demand, c.limit))
		})
	}
}

func TestOutgrowsIsWhereTheSizeChanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 10000 {
		s := config.Config{MaxSize: 2 + rng.IntN(1000), TargetStreams: 1 + rng.IntN(1000)}
		limit := 1 + rng.IntN(1000)
		size := rng.IntN(s.MaxSize)
		at := growsFrom(s, size, limit)
		require.Greater(t, sizeFor(s, at, limit), size, "%+v size %d limit %d", s, size, limit)
		require.LessOrEqual(t, sizeFor(s, at-1, limit), size, "%+v size %d limit %d", s, size, limit)
	}
	assert.Zero(t, growsFrom(config.Config{MaxSize: 4, TargetStreams: 100}, 4, NoLimit), "at the maximum")
	assert.Zero(t, growsFrom(config.Config{MaxSize: 4, TargetStreams: 100}, 1, 0), "with a limit of 0")
}

func TestTheWindowRemembersAPeakForIdleTimeout(t *testing.T) {
	const idleTimeout = 16 * time.Second
	var w window
	w.observe(30, idleTimeout, start, start)
	for s := range 60 {
		now := start.Add(time.Duration(s) * 500 * time.Millisecond)
		w.observe(2, idleTimeout, now, start)
		switch age := now.Sub(start); {
		case age <= idleTimeout:
			require.Equal(t, 30, w.peak(), "%v", age)
		case age >= idleTimeout+idleTimeout/samples:
			require.Equal(t, 2, w.peak(), "%v", age)
		}
	}
}

func TestTheWindowForgetsAfterALongTimeWithoutSamples(t *testing.T) {
	var w window
	w.observe(30, time.Second, start, start)
	w.observe(0, time.Second, start.Add(time.Hour), start)
	assert.Zero(t, w.peak())
}

func TestWithoutIdleTimeoutNothingShrinks(t *testing.T) {
	var w window
	w.observe(30, 0, start, start)
	w.observe(0, 0, start.Add(1000*time.Hour), start)
	assert.Equal(t, 30, w.peak())
}

// Guards: `w.next.After(now.Add(part))` in window.observe.
func TestAShorterIdleTimeoutHoldsAtOnce(t *testing.T) {
	var w window
	w.observe(30, time.Hour, start, start)
	w.observe(0, 16*time.Second, start, start)
	assert.Equal(t, start.Add(time.Second), w.next)
}

// Guards: `e.demand.used` in Sample: such RPCs are never in flight when a sample is taken.
func TestAnEndpointInUseByShortRPCsDoesNotSleep(t *testing.T) {
	s := tell(t, "minSize=0 maxSize=4 idleTimeout=16s")
	s.settle()
	s.others = false
	s.connect()
	for range 20 {
		s.facts[s.subchannels[0]].Started++
		s.pass(10 * time.Second)
		s.want(Ready, 1)
	}
	s.pass(10 * time.Second)
	s.pass(10 * time.Second)
	s.want(Ready, 0)
}

// Guards: `s.openedFor == ReasonStart` in Sample: to make one that was lost again is not a
// demand of RPCs. And `s.phase == Connecting`: to wait for the first connection is.
func TestAnEndpointStaysAwakeWhileItsFirstConnectionIsMadeAndNotForOneThatWasLost(t *testing.T) {
	s := tell(t, "minSize=0 maxSize=4 idleTimeout=16s")
	s.settle()
	s.others = false
	for range 10 {
		s.pass(10 * time.Second)
		s.want(Connecting, 1)
	}
	s.connect()
	s.cut()
	s.want(Connecting, 1)
	s.pass(10 * time.Second)
	s.pass(10 * time.Second)
	s.want(Connecting, 0)
}

// Guards: Endpoint.watermark.
func TestTheWatermarkIsAShareOfWhatMakesTheEndpointGrow(t *testing.T) {
	s := tell(t, "minSize=2 maxSize=4")
	require.Zero(t, s.did.Watermark, "no connection is READY")
	s.connect()
	require.Equal(t, 81, s.did.Watermark, "161 RPCs call for three, 81 on one of two at least")
	s.facts[s.subchannels[0]].InFlight = 60
	s.settle()
	require.Equal(t, 51, s.did.Watermark)
	s.facts[s.subchannels[0]].InFlight = 161
	s.settle()
	require.Equal(t, 40, s.did.Watermark, "241 call for four")
	s.connect()
	s.facts[s.subchannels[0]].InFlight = 300
	s.settle()
	require.Zero(t, s.did.Watermark, "maxSize")
	s.SetRemoved(true)
	s.settle()
	require.Zero(t, s.did.Watermark)
}

// Guards: `calledFor` in Endpoint.watermark: a peak within the present part of the window must
// be seen, though the size is larger still.
func TestTheWatermarkGoesByThePresentPartOfTheWindow(t *testing.T) {
	s := tell(t, "minSize=1 maxSize=4 idleTimeout=160s")
	s.demandOf(300)
	s.connect()
	s.pass(10 * time.Second)
	require.Equal(t, 4, s.Size())
	require.Equal(t, 21, s.did.Watermark, "81 on four")
}

// Guards: Endpoint.lostUnused, and `end.InFlight == 0` in Lost.
func TestAnUnusedConnectionThatIsLostIsMadeAgainOnlyIfTooFewAreLeft(t *testing.T) {
	for inFlight, want := range map[int]int{0: 3, 1: 4} {
		s := tell(t, "minSize=1 maxSize=4 targetStreams=10 idleTimeout=160s")
		s.demandOf(30)
		s.connect()
		s.pass(10 * time.Second)
		s.pass(10 * time.Second)
		s.facts[s.subchannels[1]].InFlight = inFlight
		s.lose(s.subchannels[1])
		s.settle()
		require.Equal(t, want, s.Size())
	}
}

// Guards: `max(w.peaks[0], w.peaks[1])` in lostUnused: what is demanded may have been seen
// just before the present part of the window began.
func TestAnUnusedConnectionThatIsLostIsMadeAgainForTheDemandOfThisMoment(t *testing.T) {
	s := tell(t, "minSize=1 maxSize=4 targetStreams=10 idleTimeout=160s")
	s.held = 30
	s.settle()
	s.connect()
	s.held = 0
	s.pass(10 * time.Second)
	s.lose(s.subchannels[1])
	s.settle()
	require.Equal(t, 4, s.Size())
}

// Guards: `e.sizing.previous.clip(n)` in Endpoint.lostUnused.
func TestAnUnusedConnectionOfPreviousSettingsIsNotMadeAgain(t *testing.T) {
	s := tell(t, "size=4 idleTimeout=160s")
	s.connect()
	s.pass(10 * time.Second)
	s.SetSettings(parseSettings(t, s.settings, "minSize=1"), s.now)
	s.settle()
	require.Equal(t, 4, s.Size())
	s.lose(s.subchannels[0])
	s.settle()
	require.Equal(t, 3, s.Size())
}

// Guards: `epoch.Add(` in window.observe: a channel would wake for each of its endpoints.
func TestTheEndpointsOfAChannelAreSampledTogether(t *testing.T) {
	for _, made := range []time.Duration{0, 3 * time.Second, 27 * time.Second} {
		s := newStory(t, config.Config{MinSize: 1, MaxSize: 4, TargetStreams: 100, IdleTimeout: 160 * time.Second}, "a:1")
		s.now = start.Add(made)
		s.settle()
		assert.Equal(t, made.Truncate(10*time.Second)+10*time.Second, s.did.Next.Sub(start))
	}
}
