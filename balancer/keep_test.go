package balancer

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/connectivity"
)

// quiet lets time pass in which nobody uses the endpoint, and every dial succeeds.
func (s *story) quiet(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		s.sample(s.now, 0, func(*slot) (int, uint32) { return 0, 0 })
		s.pass(5 * time.Second)
		s.connect()
		s.finish()
	}
}

// silent is for how long the ready slots were, the one that was used last first.
func (s *story) silent() (d []time.Duration) {
	for _, sl := range s.in(ready) {
		d = append(d, s.now.Sub(sl.used))
	}
	slices.Sort(d)
	return d
}

// Guards: `a.well()` in endpoint.keep: connections whose server does not serve would
// be refreshed in the place of those that do.
func TestOfWhatMinSizeKeepsThoseThatServeAreRefreshedFirst(t *testing.T) {
	s := tell(t, `{"minSize":2,"maxSize":4,"targetStreams":10,"idleTimeout":"160s","maxLifetime":"0s"}`)
	s.sample(s.now, 40, nil)
	s.settle()
	s.connect()
	s.want(ready, 4)
	for _, sl := range s.slots[2:] {
		sl.used = s.now.Add(time.Second)
		s.checked(sl, connectivity.TransientFailure)
	}
	s.quiet(165 * time.Second)
	require.Less(t, s.silent()[0], 160*time.Second)
	s.want(checking, 2)
}

// Guards: `max(called, 1)` in endpoint.keep.
func TestWhatStaysAwakeForOtherEndpointsIsRefreshed(t *testing.T) {
	s := tell(t, `{"minSize":0,"idleTimeout":"160s","maxLifetime":"0s"}`)
	s.connect()
	for range 100 {
		s.quiet(10 * time.Second)
		require.Len(t, s.silent(), 1)
		require.Less(t, s.silent()[0], 160*time.Second)
	}
}
