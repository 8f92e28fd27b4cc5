package probe

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const msec = time.Millisecond

// A told report has rows of 1, 2, 4, 8 and 16 connections with these RPC/s.
func told(change func(*Report), rates ...float64) Report {
	r := Report{InFlight: 100, Threads: 2, Idle: 10 * msec, IdleTrickle: msec, RequestBytes: 1000, ReplyBytes: 9000}
	for i, rate := range rates {
		r.Rows = append(r.Rows, Row{
			Size: 1 << i, Connections: 1 << i, Addresses: 1, Limit: -1, Rates: []float64{rate, rate, rate * 1.01}, Done: 1000,
			P50: time.Duration(float64(r.InFlight) / max(rate, 1) * float64(time.Second)), CPU: 0.5, Wait: time.Microsecond, Trickle: msec,
		})
	}
	change(&r)
	return r
}

func streams(limit, inFlight int) func(*Report) {
	return func(r *Report) {
		r.InFlight = inFlight
		for i := range r.Rows {
			r.Rows[i].Limit = limit
		}
	}
}

func waits(d time.Duration) func(*Report) {
	return func(r *Report) {
		for i := range r.Rows {
			r.Rows[i].Wait = d
		}
	}
}

func nothingElse(*Report) {}

func TestTheAdviceHasItsReason(t *testing.T) {
	for _, tt := range []struct {
		name   string
		report Report
		want   string
	}{
		{
			"where the server limits streams, as many as make room", told(streams(100, 240), 1000, 2000, 2400, 2400, 2400),
			"3: the server allows 100 streams a connection and you have 240 in flight; more than 4 gains nothing.",
		},
		{
			"where the last bit of room hardly shows", told(streams(100, 240), 1000, 2000, 2050, 2050, 2050),
			"3: the server allows 100 streams a connection and you have 240 in flight; more than 3 gains nothing.",
		},
		{
			"where more than was measured would make room", told(streams(10, 300), 100, 200, 400, 800, 1600),
			"30: the server allows 10 streams a connection and you have 300 in flight; RPC/s grew up to 16 connections, the most that was measured.",
		},
		{
			"where room gains nothing", told(streams(100, 240), 1000, 1000, 1000, 1000, 1000),
			"1: the server allows 100 streams a connection and you have 240 in flight, but more than 1 gains nothing, because the server, or the network that all connections share, is the limit at 1000 RPC/s, not the connection.",
		},
		{
			"where the limit is not reached", told(streams(100, 100), 1000, 1000, 1000, 1000, 1000),
			"1: the server, or the network that all connections share, is the limit at 1000 RPC/s, not the connection.",
		},
		{
			"where this client is the limit by waits", told(waits(8*msec), 1000, 1000, 1000, 1100, 1000),
			"1: this client's CPU is the limit, not the connection.",
		},
		{
			"where this client is the limit by use", told(func(r *Report) { r.Rows[0].CPU = 1.8 }, 1000, 1000, 1000, 1100, 1000),
			"1: this client's CPU is the limit, not the connection.",
		},
		{
			"where nothing waits", told(func(r *Report) { r.Idle = 100 * msec }, 1000, 1000, 1000, 1000, 1000),
			"1: with 100 in flight an RPC takes 100 ms, as fast as alone, so nothing waits for a connection.",
		},
		{
			"where more connections reach more servers", told(nothingElse, 1000, 2000, 4000, 4000, 4000),
			"4: they carry 4.0 times what one connection does, though that is not the limit (an RPC that takes no work passes it in 1.0 ms), so more connections reach more servers, as behind an L4 balancer; more than 4 gains nothing.",
		},
		{
			"where a connection is the limit", told(func(r *Report) { r.Rows[0].Trickle = 50 * msec }, 200, 400, 800, 1600, 3200),
			"16: they carry 16.0 times what one connection does, which is the limit (at 2.0 MB/s: its link, its flow-control windows, or the server's thread for it), for even an RPC that takes no work takes 50 ms there, and 1.0 ms when it is idle; more may gain more.",
		},
		{
			"where this client is the limit in the end", told(func(r *Report) { r.Rows[1].CPU = 1.9 }, 1000, 2000, 2000, 2000, 2000),
			"2: they carry 2.0 times what one connection does, though that is not the limit (an RPC that takes no work passes it in 1.0 ms), so more connections reach more servers, as behind an L4 balancer; more than 2 gains nothing, because this client's CPU is the limit then.",
		},
		{
			"where nothing answers to an RPC without work", told(func(r *Report) { r.IdleTrickle = 0 }, 1000, 2000, 2000, 2000, 2000),
			"2: they carry 2.0 times what one connection does; more than 2 gains nothing.",
		},
		{
			"where several addresses are", told(func(r *Report) {
				streams(100, 900)(r)
				for i := range r.Rows {
					r.Rows[i].Addresses = 3
				}
			}, 1000, 2000, 3000, 3000, 3000),
			"3 to each of the 3 server addresses: the server allows 100 streams a connection and you have 900 in flight; more than 4 gains nothing.",
		},
		{
			"where RPCs fail", told(func(r *Report) { r.Rows[0].Failed = 500; r.Idle = time.Second }, 1000, 1000, 1000, 1000, 1000),
			"1: with 100 in flight an RPC takes 100 ms, as fast as alone, so nothing waits for a connection; but 500 of 1500 RPCs failed there, which is to be mended first.",
		},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, Advice(tt.report)) })
	}
}

func TestWithoutEvidenceThereIsNoAdvice(t *testing.T) {
	short := told(nothingElse, 1000, 2000)
	short.Rows[1].Rates = short.Rows[1].Rates[:2]
	failed := told(nothingElse, 1000, 2000)
	for i := range failed.Rows {
		failed.Rows[i].Done = 0
	}
	lost := told(nothingElse, 1000)
	lost.Rows[0].Connections = 0
	assert.Equal(t, "No advice: the connections were lost meanwhile.", Advice(lost))
	assert.Equal(t, "No advice: only one number of connections was measured.", Advice(told(nothingElse, 1000)))
	assert.Equal(t, "No advice: 2 rounds are too few to tell a gain from noise: raise -for or -n.", Advice(short))
	assert.Equal(t, "No advice: not one RPC ended well.", Advice(failed))
}

// A machine that is busy with something else makes some slices slow, and hits one row more
// often than the other by chance.
func TestSlicesThatWereDisturbedDoNotHideAGain(t *testing.T) {
	from := Row{Rates: []float64{3200, 2900, 3600, 2800, 3300, 3300, 2300, 2700, 2700, 2900}}
	to := Row{Rates: []float64{3500, 4300, 5000, 1600, 4700, 3300, 1600, 3800, 4500, 1200}}
	ratio, agree := compare(from, to)
	assert.Greater(t, ratio, gainful)
	assert.GreaterOrEqual(t, agree, mostRounds)
}

// That room gains nothing must be proven: the limit is known, and slices that were disturbed
// prove nothing.
func TestTheLimitIsBelievedWhereSlicesAreUneven(t *testing.T) {
	r := told(streams(100, 340), 1000, 2000, 2000)
	r.Rows[2].Rates = []float64{1000, 2000, 3000, 900, 2100}
	assert.Equal(t, "4: the server allows 100 streams a connection and you have 340 in flight, and RPC/s were too uneven to tell more.", Advice(r))
	assert.NotContains(t, Table(r), "RPC/s differed", "in most rows they did not")
	r.Rows[1].Rates = r.Rows[2].Rates
	assert.Contains(t, Table(r), "RPC/s differed by 55 % between slices: something else keeps ")
}

func TestOneFastSliceIsNoGain(t *testing.T) {
	r := told(nothingElse, 1000, 1000)
	r.Rows[0].Rates, r.Rows[1].Rates = []float64{1000, 1000, 1000, 1000}, []float64{990, 990, 990, 9000}
	assert.Equal(t, 0, r.best())
}

// Where this client lacks CPU, a little more is noise.
func TestALittleMoreIsNoGainForAClientWithoutCPU(t *testing.T) {
	r := told(nothingElse, 1000, 1300)
	assert.Equal(t, 1, r.best())
	waits(50 * msec)(&r)
	assert.Equal(t, 0, r.best())
}

func TestTheAdviceIsOneSentence(t *testing.T) {
	advice := Advice(told(nothingElse, 1000, 2000, 4000))
	assert.Equal(t, 1, strings.Count(advice+" ", ". "))
	assert.NotContains(t, advice, "\n")
}
