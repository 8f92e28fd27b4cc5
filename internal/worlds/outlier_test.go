package worlds

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// failedBetween is the share of the RPCs that ended from one time to another and failed.
func (f *figures) failedBetween(from, to time.Duration) float64 {
	failed, good := 0, 0
	for _, at := range f.lost {
		if from <= at && at < to {
			failed++
		}
	}
	for i, n := range f.done {
		if at := time.Duration(i) * window; from <= at && at < to {
			good += n
		}
	}
	return float64(failed) / float64(max(1, failed+good))
}

// Guards: findOutlier. Two of eight connections reach the server that fails.
func TestAServerThatFailsBehindOneAddressIsLeft(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.Internal, codes.Unknown, codes.ResourceExhausted, codes.DeadlineExceeded} {
		for _, tt := range []struct{ rate, interval time.Duration }{{3, 10 * sec}, {300, sec}} {
			t.Run(fmt.Sprintf("%v at %d RPC/s a connection", code, tt.rate), func(t *testing.T) {
				t.Parallel()
				w := World{
					Servers: []Server{{}, {}, {Fails: code}, {}}, Latency: ms, Dial: 10 * ms, Warm: sec,
					Setting: fmt.Sprintf(`{"size":8,"outlierInterval":%q}`, tt.interval),
					Callers: []Callers{{For: 10 * tt.interval, Rate: 8 * float64(tt.rate), Takes: 10 * ms}},
				}
				for draw := range uint64(4) { // which connection fails
					f := w.play(t, w.pool(), draw)
					first, later := f.failedBetween(0, sec), f.failedBetween(2*tt.interval, 10*tt.interval)
					last := f.failedBetween(8*tt.interval, 10*tt.interval)
					t.Logf("%.3f of the RPCs in the first second, %.4f after two intervals, %.4f in the last two; %d dials", first, later, last, f.dials)
					require.LessOrEqual(t, first, 1.1*0.25)
					require.LessOrEqual(t, later, 0.03)
					require.Zero(t, last)
				}
			})
		}
	}
}

// Guards: each bound in evidence: without it connections are replaced that are as good as any.
func TestConnectionsThatFailAlikeAreNoOutliers(t *testing.T) {
	const lasts = 60 * sec
	calls := Callers{For: lasts, Rate: 80, Takes: 10 * ms}
	failing := func(c Callers, oneIn int) Callers {
		c.CodeOneIn, c.Code = oneIn, codes.Internal
		return c
	}
	rolling := make([]Event, 4)
	for i := range rolling {
		rolling[i] = Event{At: time.Duration(10*i+5) * sec, What: Restart, Ending: Final, Server: i, For: 2 * sec}
	}
	const mixed = "all fail for a while"
	poisoned := failing(Callers{For: lasts, Rate: 5, Takes: 10 * ms}, 1)
	for name, w := range map[string]World{
		"all fail":                          {Callers: []Callers{failing(calls, 1)}},
		"all fail at once":                  {Servers: times(4, Server{Fails: codes.Unavailable}), Callers: []Callers{calls}},
		"all fail one RPC in five":          {Callers: []Callers{failing(calls, 5)}},
		mixed:                               {Callers: []Callers{failing(Callers{For: 5 * sec, Rate: 80, Takes: 10 * ms}, 1), {From: 5 * sec, For: lasts - 5*sec, Rate: 80, Takes: 10 * ms}}},
		"a poisoned request, 5 a second":    {Callers: []Callers{calls, poisoned}},
		"and few others":                    {Callers: []Callers{{For: lasts, Rate: 8, Takes: 10 * ms}, poisoned}},
		"the servers restart, one by one":   {Callers: []Callers{calls}, Events: rolling},
		"and stay down until it is noticed": {Callers: []Callers{calls}, Events: rolling, Skips: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if w.Servers == nil {
				w.Servers = times(4, Server{})
			}
			w.Latency, w.Dial, w.Warm, w.Random = ms, 10*ms, sec, true
			verdicts := 0
			for draw := range uint64(5) {
				w.Setting = `{"size":8,"outlierInterval":"1s"}`
				pool := w.pool()
				pool.recorder = harness.NewRecorder()
				w.play(t, pool, draw)
				n := pool.recorder.Sum("subpool.connections.opened", "outlier")
				require.LessOrEqual(t, n, 1, "a wrong verdict costs one dial")
				verdicts += n
			}
			t.Logf("%d connections replaced in 5 minutes", verdicts)
			if name != mixed { // its RPCs failed at one time, so chance is not what evidence takes it for
				require.Zero(t, verdicts)
			}
		})
	}
}
