package probe

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestTheTableHasARowForEachNumberOfConnections(t *testing.T) {
	r := told(streams(100, 240), 1000, 2500)
	r.Rows[1].Connections, r.Rows[0].P99 = 1, 1234*time.Microsecond
	r.Rows = append(r.Rows, Row{Size: 4, Connections: 4, Limit: -1})
	r.Error, r.Interrupted = "rpc error\x1b[2J", true
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(Table(r)), "\n") {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	assert.Equal(t, []string{
		"connections RPC/s p50 p99 failed no work stream limit CPU wait for CPU",
		"1 1000 100 ms 1.2 ms 0 1.0 ms 100 50 % 1 µs",
		"1 of 2 2500 40 ms – 0 1.0 ms 100 50 % 1 µs",
		"4 – – – – – none – –",
		"One RPC at a time takes 10 ms, one that takes the server no work 1.0 ms; in the table 240 are in flight.",
		"One failure: rpc error·[2J",
		"Interrupted: this is what was measured so far",
	}, lines)
}

func TestThePageHasTheAdviceAndAPlotOfEachNumber(t *testing.T) {
	r := told(streams(100, 240), 1000, 2000, 2400)
	r.Target = "<script>alert(1)</script>"
	page, err := Page(r)
	require.NoError(t, err)
	text := string(page)
	assert.Contains(t, text, `<p class="advice">`+Advice(r)+`</p>`)
	assert.Equal(t, 3, strings.Count(text, "<svg "))
	assert.Equal(t, 9, strings.Count(text, `<circle class="dot"`))
	assert.Contains(t, text, "prefers-color-scheme: dark")
	assert.NotContains(t, text, "<script")
	assert.NotRegexp(t, `(src|href)=|url\(|@import`, text, "it needs nothing else")
	assert.NotContains(t, text, "NaN")
}

func TestCurvesStayWithinTheirPlot(t *testing.T) {
	for _, rate := range []float64{0, 0.3, 9, 1234, 5e6} {
		for _, p := range plots(told(nothingElse, rate, 2*rate)) {
			for _, c := range p.Curves {
				require.Len(t, c.Points, 2)
				for _, at := range c.Points {
					assert.True(t, at.X >= left && at.X <= right && at.Y >= top && at.Y <= bottom, "%s, %v: %v", p.Title, rate, at)
				}
			}
			assert.LessOrEqual(t, len(p.Ticks), 6)
		}
	}
}

func TestOnlyWhatEndsInTheWindowCounts(t *testing.T) {
	from, to := read(), read()
	from.at = time.Now()
	to.at = from.at.Add(time.Second)
	at := func(d time.Duration, err error) ended { return ended{from.at.Add(d), msec, 10, err} }
	failed := status.Error(codes.Unavailable, "no")
	s := count(from, to, [][]ended{
		{at(-msec, nil), at(0, nil), at(msec, failed)},
		{at(time.Second, nil), at(time.Second+1, failed), at(msec, status.FromContextError(context.Canceled).Err())},
	}, []ended{at(0, status.Error(codes.Unimplemented, "")), at(0, failed)})
	assert.Equal(t, 2, s.Done)
	assert.Equal(t, 20, s.Bytes)
	assert.Equal(t, 1, s.Failed)
	assert.Equal(t, []time.Duration{msec, msec}, s.Latencies)
	assert.Equal(t, []time.Duration{msec}, s.Trickle)
	assert.InDelta(t, 2, s.rate(), 0.01)
}

func TestSlicesAreAsLongAsRPCsTakeAndRoundsAsManyAsFit(t *testing.T) {
	after := func(done int) series {
		return series{warmUp: []slice{{Done: done, Took: time.Second}}}
	}
	fast, slow := after(10_000), after(100)
	assert.Equal(t, []time.Duration{leastWindow, 2 * time.Second}, windowsFor([]series{fast, slow}, 100, time.Hour, 1e9))
	assert.Less(t, windowsFor([]series{fast, slow}, 100, 4*time.Second, 1e9)[1], 500*time.Millisecond, "for four rounds in 4 s")
	assert.Equal(t, leastOfAll, windowsFor([]series{fast, fast}, 100, time.Hour, 1000)[0], "for RPCs to be left")
}

func TestQuantilesLieBetweenValues(t *testing.T) {
	assert.Zero(t, quantile(nil, 0.5))
	assert.InDelta(t, 2.5, middle([]float64{4, 1, 3, 2}), 1e-9)
	assert.InDelta(t, 4, quantile([]float64{4, 1, 3, 2}, 1), 1e-9)
	assert.Equal(t, 3*msec, percentile([]time.Duration{3 * msec, msec, 5 * msec}, 50))
	assert.Zero(t, percentile(nil, 99))
}

func TestTheMedianOfAHistogramIsTheMiddleOfItsBucket(t *testing.T) {
	bounds := []float64{-1, 0, 2, 4, 8}
	assert.InDelta(t, 3, median([]uint64{0, 1, 5, 1}, bounds), 1e-9)
	assert.Zero(t, median([]uint64{0, 0, 0, 0}, bounds))
}
