package probe

import (
	"slices"
	"time"
)

// A Report is all that was measured.
type Report struct {
	Target, Method string
	InFlight       int
	Threads        int // of this process
	Rows           []Row
	Idle           time.Duration // lower quartile of the same RPCs one at a time, before the load
	IdleTrickle    time.Duration // the same of RPCs that take the server no work; 0 if there is no answer to such
	ReplyBytes     int           // of one
	RequestBytes   int
	Error          string // of one that failed
	Interrupted    bool
}

// A Row is what so many connections came to.
type Row struct {
	Size        int // connections to each server address
	Connections int // in all
	Addresses   int
	Limit       int // streams of a connection, -1 if the server sets none
	Rates       []float64
	P50, P99    time.Duration
	Done        int
	Failed      int
	CPU         float64       // processors that this process used
	Wait        time.Duration // median time that a goroutine waited for a thread
	Trickle     time.Duration // median of RPCs that take the server no work
}

// Rate is the median over the slices.
func (r Row) Rate() float64 { return middle(r.Rates) }

func rowOf(s series) Row {
	r := Row{Size: s.size, Limit: -1}
	var latencies, waits, trickle []time.Duration
	var cpu []float64
	for _, one := range s.slices {
		r.Rates = append(r.Rates, one.rate())
		r.Done += one.Done
		r.Failed += one.Failed
		latencies = append(latencies, one.Latencies...)
		cpu = append(cpu, one.CPU)
		waits = append(waits, one.Wait)
		trickle = append(trickle, one.Trickle...)
	}
	r.P50, r.P99 = percentile(latencies, 50), percentile(latencies, 99)
	r.CPU, r.Wait = middle(cpu), percentile(waits, 50)
	r.Trickle = percentile(trickle, 50)
	return r
}

// middle is the median; 0 of nothing.
func middle(values []float64) float64 { return quantile(values, 0.5) }

// quantile is that part of the way from the smallest to the largest value; 0 of nothing.
func quantile(values []float64, part float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := part * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// percentile sorts values; 0 of nothing.
func percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[(len(values)-1)*p/100]
}
