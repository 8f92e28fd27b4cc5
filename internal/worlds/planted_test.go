package worlds

import (
	"testing"
	"time"

	"google.golang.org/grpc"
)

// TestTheJudgeFindsWhatIsPlanted judges plain channels in place of a pool: those that are
// as plain ones are acquitted, and those that do something to RPCs are not.
func TestTheJudgeFindsWhatIsPlanted(t *testing.T) {
	quiet := World{
		Seed: 1, Servers: make([]Server, 1), Latency: ms, Dial: 10 * ms, Setting: size(4),
		Callers: []Callers{{For: sec, Rate: 500, Takes: 5 * ms}},
	}
	looped := quiet
	looped.Callers = []Callers{{For: sec, Loop: 10, Pause: 10 * ms, Takes: 5 * ms}}
	restarted := quiet
	restarted.Events = []Event{{At: 300 * ms, What: End, Ending: Final}}
	fewer := quiet
	fewer.Callers = []Callers{{For: sec, Rate: 2}}
	for _, tt := range []struct {
		name     string
		world    World
		spoils   grpc.UnaryClientInterceptor
		channels int
		guilty   bool
	}{
		{"plain channels", quiet, nil, 4, false},
		{"plain channels, and a restart", restarted, nil, 4, false},
		{"one RPC in a hundred is lost", quiet, losing(100), 4, true},
		{"one RPC in a hundred is lost, and a restart", restarted, losing(100), 4, true},
		{"one RPC in a hundred waits for 100 ms", quiet, slowing(100, 100*time.Millisecond), 4, true},
		{"every RPC waits for 50 ms", looped, slowing(1, 50*time.Millisecond), 4, true},
		{"a goroutine is left", fewer, leaveGoroutine, 4, true},
		{"twenty connections where four would do", quiet, nil, 20, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := tt.world.plain(tt.channels)
			c.spoils = tt.spoils
			if v := tt.world.judge(t, c); (v.worse != nil) != tt.guilty {
				t.Error(v)
			} else {
				t.Log(v.worse)
			}
		})
	}
}

// TestPlainChannelsAreNoWorseThanPlainChannels looks for what only chance decides: the
// judge must not call it a fault.
func TestPlainChannelsAreNoWorseThanPlainChannels(t *testing.T) {
	n := *worlds / 3
	if n == 0 {
		n = few / 3
	}
	for seed := range n {
		w := drawWorld(*first + seed)
		least, most := w.sizes()
		if least != most {
			most = 1
		}
		if v := w.judge(t, w.plain(most), appeal); v.worse != nil {
			t.Error(v)
		}
	}
}
