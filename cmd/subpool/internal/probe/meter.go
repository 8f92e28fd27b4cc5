package probe

import (
	"math"
	"runtime/metrics"
	"time"
)

// A reading is what this process has used up to now.
type reading struct {
	at    time.Time
	cpu   time.Duration
	waits *metrics.Float64Histogram // of goroutines for a thread
}

const schedulerLatencies = "/sched/latencies:seconds"

func read() reading {
	s := []metrics.Sample{{Name: schedulerLatencies}}
	metrics.Read(s)
	return reading{time.Now(), cpuTime(), s[0].Value.Float64Histogram()}
}

// used is what was used between two readings: processors, and the median time for which a
// goroutine that could run had to wait.
func used(from, to reading) (cpu float64, wait time.Duration) {
	counts := make([]uint64, len(to.waits.Counts))
	for i := range counts {
		counts[i] = to.waits.Counts[i] - from.waits.Counts[i]
	}
	cpu = (to.cpu - from.cpu).Seconds() / to.at.Sub(from.at).Seconds()
	return cpu, time.Duration(median(counts, to.waits.Buckets) * float64(time.Second))
}

// median is that of a histogram: the middle of its bucket.
func median(counts []uint64, bounds []float64) float64 {
	var total, sum uint64
	for _, n := range counts {
		total += n
	}
	for i, n := range counts {
		sum += n
		if 2*sum >= total && n > 0 {
			low, high := math.Max(bounds[i], 0), bounds[i+1]
			if math.IsInf(high, 1) {
				return low
			}
			return (low + high) / 2
		}
	}
	return 0
}
