package worlds

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// window is what throughput is counted in.
const window = 100 * time.Millisecond

// deadline is that of RPCs that have none of their own.
const deadline = 20 * time.Second

// figures are what one play showed.
type figures struct {
	rpcs    int
	failed  map[codes.Code]int // RPCs that did not end as they were to
	example string             // one of their errors
	slowest time.Duration      // beyond what the server was to take
	done    []int              // RPCs that ended otherwise, in each window
	lost    []time.Duration    // when RPCs failed, the first ones
	shares  []int              // RPCs of each server

	dials, made, most int // connections; most at a time
	publications      int
	lasted            time.Duration
	late              int  // failures of RPCs whose deadline was short
	rush              int  // dials in a window, at most
	left              bool // goroutines, after the end
	kept              bool // the pool is, in memory, after the end
	spun              bool // without end, at one instant
	flying            int  // RPCs at a time, at most
	each              int  // RPCs in flight for each connection, at most
	outliers          []string
}

func (f *figures) failures() (n int) {
	for _, k := range f.failed {
		n += k
	}
	return n
}

// good are the RPCs that ended as they were to.
func (f *figures) good() int { return f.rpcs - f.failures() }

func (f *figures) note(r *rpc, code codes.Code, err error, took, at time.Duration) (well bool) {
	f.rpcs++
	if took > f.slowest {
		f.slowest = took
	}
	want := r.code
	if r.fails {
		want = codes.Unauthenticated
	}
	// Credentials that meet the deadline end the RPC as Unauthenticated.
	late := r.short && (code == codes.DeadlineExceeded || code == codes.Unauthenticated)
	if late && r.needs >= r.deadline { // so it ends wherever it is made
		return true
	}
	// What gRPC ends says why; what a server answers here says nothing.
	answered := err == nil || r.fails || status.Convert(err).Message() == ""
	if code != want || !answered {
		if f.failed == nil {
			f.failed = make(map[codes.Code]int)
		}
		if late {
			f.late++
		}
		if len(f.lost) < maxWindows {
			f.lost = append(f.lost, at)
		}
		if f.failed[code]++; f.example == "" {
			f.example = fmt.Sprintf("after %v: %v", at, err)
		}
		return false
	}
	n := int(at / window)
	for len(f.done) <= n && n < maxWindows {
		f.done = append(f.done, 0)
	}
	if n < maxWindows {
		f.done[n]++
	}
	return true
}

// maxWindows bounds what is looked at in a world that lasts for hours.
const maxWindows = 1000

func (f *figures) String() string {
	var failed []string
	for _, c := range slices.Sorted(maps.Keys(f.failed)) {
		failed = append(failed, fmt.Sprintf("%d %v", f.failed[c], c))
	}
	s := fmt.Sprintf("RPCs %d, failed %d (%s), slowest %v, dials %d, connections %d (%d at a time), publications %d",
		f.rpcs, f.failures(), strings.Join(failed, ", "), f.slowest.Round(time.Millisecond), f.dials, f.made, f.most, f.publications)
	if len(f.shares) > 1 {
		s += fmt.Sprint(", by server ", f.shares)
	}
	if f.left {
		s += ", GOROUTINES LEFT"
	}
	if f.kept {
		s += ", POOL LEFT"
	}
	if f.spun {
		s += ", BUSY LOOP"
	}
	if f.example != "" {
		s += "; " + f.example
	}
	return s
}

// mean is what a window has, of those in which RPCs ended, the last one left out. All that waited during an
// outage end at its end: a window counts as twice the median at most, or all others were low.
func (f *figures) mean() float64 {
	var windows []int
	for _, k := range f.done[:max(0, len(f.done)-1)] {
		if k > 0 {
			windows = append(windows, k)
		}
	}
	if len(windows) == 0 {
		return 0
	}
	slices.Sort(windows)
	sum, most := 0, 2*windows[len(windows)/2]
	for _, k := range windows {
		sum += min(k, most)
	}
	return float64(sum) / float64(len(windows))
}

// low reports whether less than half of the mean ended in a window.
func (f *figures) low(w int) bool {
	return w >= 0 && w < len(f.done) && float64(f.done[w]) < f.mean()/2
}
