package probe

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A load keeps RPCs in flight.
type load struct {
	call     call
	inFlight int
	maxTime  time.Duration
	left     atomic.Int64 // RPCs that may still be made
}

// A slice is what one channel did for a short time.
type slice struct {
	Done      int // RPCs that ended well in it
	Failed    int
	Took      time.Duration
	Latencies []time.Duration
	Trickle   []time.Duration // of RPCs that take the server no work
	Bytes     int             // of their replies
	CPU       float64         // processors that this process used
	Wait      time.Duration   // median time that a goroutine waited for a thread
	Error     string          // the last one
}

// An ended RPC.
type ended struct {
	at      time.Time
	latency time.Duration
	size    int
	err     error
}

// run loads cc for the ramp, in which nothing counts yet, and the window, or until most RPCs
// were made. It returns when those have ended that are in flight then.
func (l *load) run(ctx context.Context, cc *grpc.ClientConn, ramp, window time.Duration, most int64) (slice, error) {
	var callers, trickler sync.WaitGroup
	var stop atomic.Bool
	var quota atomic.Int64
	quota.Store(most)
	from := read()
	all := make([][]ended, l.inFlight)
	for i := range all {
		callers.Go(func() {
			// Started together they would end together, and a window have a burst more or less.
			sleep(ctx, ramp*time.Duration(i)/time.Duration(l.inFlight))
			for !stop.Load() && ctx.Err() == nil && quota.Add(-1) >= 0 && l.left.Add(-1) >= 0 {
				all[i] = append(all[i], l.once(ctx, cc, l.call))
			}
		})
	}
	waiting, end := context.WithCancel(ctx)
	defer end()
	var trickle []ended
	trickler.Go(func() {
		for sleep(waiting, (ramp+window)/10) && !stop.Load() && l.left.Add(-1) >= 0 {
			trickle = append(trickle, l.once(ctx, cc, call{path: nothing}))
		}
	})
	go func() {
		callers.Wait()
		end()
	}()
	if ramp > 0 {
		sleep(waiting, ramp)
		from = read()
	}
	sleep(waiting, window)
	to := read()
	stop.Store(true)
	callers.Wait()
	trickler.Wait()
	return count(from, to, all, trickle), ctx.Err()
}

func (l *load) once(ctx context.Context, cc *grpc.ClientConn, c call) ended {
	ctx, cancel := context.WithTimeout(ctx, l.maxTime)
	defer cancel()
	start := time.Now()
	size, err := c.do(ctx, cc)
	at := time.Now()
	return ended{at, at.Sub(start), size, err}
}

// sleep reports whether it was not interrupted.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// count takes what has ended between two readings. What was interrupted has not failed.
func count(from, to reading, all [][]ended, trickle []ended) (s slice) {
	s.Took = to.at.Sub(from.at)
	s.CPU, s.Wait = used(from, to)
	for _, caller := range all {
		for _, e := range caller {
			switch {
			case e.at.Before(from.at) || e.at.After(to.at) || status.Code(e.err) == codes.Canceled:
			case e.err != nil:
				s.Failed++
				s.Error = e.err.Error()
			default:
				s.Done++
				s.Bytes += e.size
				s.Latencies = append(s.Latencies, e.latency)
			}
		}
	}
	for _, e := range trickle {
		if answered(e.err) {
			s.Trickle = append(s.Trickle, e.latency)
		}
	}
	return s
}

// answered reports whether an RPC got an answer, whatever it says.
func answered(err error) bool {
	c := status.Code(err)
	return c != codes.Unavailable && c != codes.DeadlineExceeded && c != codes.Canceled
}
