package probe

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// A sweep loads the channels in turn.
type sweep struct {
	load     *load
	channels []*channel
	series   []series // of each channel
	progress io.Writer
	told     time.Time
}

// A series is what one channel did in all rounds. A round that was broken off has
// slices of some only.
type series struct {
	size   int
	warmUp []slice // for connections and caches to warm up, and to see how long an RPC takes
	slices []slice
}

const (
	leastWindow = 150 * time.Millisecond
	leastOfAll  = 20 * time.Millisecond
	rounds      = 4 // at least, where RPCs take so long that slices must be long
)

// run sweeps until the time is over or no RPC is left. The order turns around from round
// to round, so that what gets slower or faster meanwhile hits all alike.
func (s *sweep) run(ctx context.Context, lasts time.Duration) error {
	end := time.Now().Add(lasts)
	budget := float64(s.load.left.Load())
	windows := slices.Repeat([]time.Duration{leastWindow}, len(s.channels))
	for round := 0; ; round++ {
		for j := range s.channels {
			i := j
			if round%2 == 1 {
				i = len(s.channels) - 1 - j
			}
			if time.Until(end) < windows[i] {
				return nil
			}
			ramp, most := windows[i]/2, int64(math.MaxInt64)
			if round == 0 { // it takes a fifth of the RPCs at most, and counts all of them
				ramp, most = 0, int64(budget)/5/int64(len(s.channels))
			}
			one, err := s.load.run(ctx, s.channels[i].cc, ramp, windows[i], most)
			spent := s.load.left.Load() <= 0 // somewhere within the slice
			if whole := err == nil && !spent; whole || one.Done+one.Failed > 0 && round == 0 {
				s.series[i].add(one, round)
			}
			if err != nil || spent {
				return err
			}
		}
		if round < 2 { // what the warm-up tells may be far off
			windows = windowsFor(s.series, s.load.inFlight, time.Until(end), budget)
		}
		s.tell(round, time.Until(end))
	}
}

func (s *series) add(one slice, round int) {
	if round == 0 {
		s.warmUp = append(s.warmUp, one)
	} else {
		s.slices = append(s.slices, one)
	}
}

// windowsFor are twice as long as an RPC takes under load, which follows from how many are
// in flight and how many end, but short enough for some rounds.
func windowsFor(all []series, inFlight int, left time.Duration, budget float64) []time.Duration {
	windows := make([]time.Duration, len(all))
	var took time.Duration // a round
	rpcs := 0.0
	for i, s := range all {
		last := s.warmUp[0]
		if len(s.slices) > 0 {
			last = s.slices[0]
		}
		rate := float64(max(1, last.Done+last.Failed)) / last.Took.Seconds()
		latency := min(time.Duration(float64(inFlight)/rate*float64(time.Second)), 4*last.Took)
		windows[i] = max(leastWindow, 2*latency)
		took += windows[i]*3/2 + latency
		rpcs += rate * (windows[i]*3/2 + latency).Seconds()
	}
	share := min(1, float64(left)/rounds/float64(took), budget/rounds/rpcs)
	for i := range windows {
		windows[i] = max(leastOfAll, time.Duration(share*float64(windows[i])))
	}
	return windows
}

// tell writes how far it is, at most once in a second.
func (s *sweep) tell(round int, left time.Duration) {
	if time.Since(s.told) < time.Second {
		return
	}
	s.told = time.Now()
	if round == 0 {
		fmt.Fprintln(s.progress, "warmed up")
		return
	}
	var rates []string
	for _, one := range s.series {
		if len(one.slices) == 0 {
			continue
		}
		last := one.slices[len(one.slices)-1]
		rates = append(rates, fmt.Sprintf("%d: %.0f/s", one.size, last.rate()))
	}
	fmt.Fprintf(s.progress, "round %d, %s; %.0f s and %d RPCs left\n", round, strings.Join(rates, ", "), max(0, left.Seconds()), max(0, s.load.left.Load()))
}

func (s slice) rate() float64 { return float64(s.Done) / s.Took.Seconds() }
