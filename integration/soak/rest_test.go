package soak

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	channelzpb "google.golang.org/grpc/channelz/grpc_channelz_v1"
	channelz "google.golang.org/grpc/channelz/service"
	"google.golang.org/grpc/connectivity"

	"github.com/grpc-subpool/subpool/internal/witness"
)

// longestBackoff is gRPC's, with its jitter, and some time to connect. Connections that
// broke before they were of use may have called for it.
const longestBackoff = 160 * time.Second

// soothe gives the channels what they have at rest. It comes before the load ends, so
// that what then ends, last of all, must be noticed by itself.
func (s *soak) soothe() {
	for _, c := range s.channels {
		c.list(plain(s.backends))
		c.configure(calmSettings(), false)
	}
}

// calm waits until every pool is as it was before the first round: nothing in flight,
// so many connections, on both sides of the network and for gRPC, and nothing else.
func (s *soak) calm() {
	s.waitFor("what drains to be gone", 20*time.Second, func() string {
		return s.count(func(p witness.Pool, e witness.Endpoint) int { return p.Lingering + e.Draining })
	})
	s.report()
	s.soothe() // the pools look again
	s.waitFor("every pool to have nothing in flight", 20*time.Second, func() string {
		return s.count(func(_ witness.Pool, e witness.Endpoint) int { return e.InFlight })
	})
	s.report()
	s.waitFor("the pools to be at rest", longestBackoff, s.unrest)
	s.report()
	s.budget.Forget()
	for _, c := range s.channels {
		c.forget()
	}
	for _, b := range s.backends {
		b.ResetCalls()
		b.forgetLimits()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history = nil
}

// count tells if there is any of something in the pools, as they last saw themselves.
func (s *soak) count(of func(witness.Pool, witness.Endpoint) int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.busy { // that of dozy may be closed
		p := s.pools[c.target()]
		for _, e := range p.Endpoints {
			if of(p, e) > 0 {
				return fmt.Sprintf("%s has %+v", c.name, p)
			}
		}
	}
	return ""
}

// unrest tells what is not yet at rest.
func (s *soak) unrest() string {
	if s.dozy.GetState() != connectivity.Idle {
		return "the channel dozy is not idle"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	subchannels := subchannelsOf()
	for _, c := range s.busy {
		p := s.pools[c.target()]
		// Of an endpoint that failed, and is not listed any more, a pool remembers the failures.
		there := slices.DeleteFunc(slices.Clone(p.Endpoints), func(e witness.Endpoint) bool {
			return e.Removed && e.Subchannels+e.Draining+e.InFlight == 0
		})
		if p.Lingering > 0 || len(there) != len(s.backends) {
			return fmt.Sprintf("%s has %+v", c.name, p)
		}
		for _, e := range there {
			if e.Ready != calmSize || e.Subchannels != calmSize || e.Draining+e.InFlight > 0 {
				return fmt.Sprintf("%s has %+v", c.name, e)
			}
		}
		if n, want := subchannels[c.target()], calmSize*len(s.backends); n != want {
			return fmt.Sprintf("gRPC has %d subchannels of %s, not %d", n, c.name, want)
		}
	}
	for _, b := range s.backends {
		want := calmSize * len(s.busy)
		if n := len(b.all()); n != want {
			return fmt.Sprintf("clients have %d connections to %s, not %d", n, b.addr, want)
		}
		if n := b.Open(); n != want {
			return fmt.Sprintf("%s has %d connections, not %d", b.addr, n, want)
		}
	}
	return ""
}

// lost tells that c has no READY connection to b, and needs one.
func (s *soak) lost(c *channel, b *backend) string {
	if c.GetState() == connectivity.Idle {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.pools[c.target()].Endpoints {
		if slices.Contains(e.Addresses, b.addr) {
			if e.Ready > 0 {
				return ""
			}
		}
	}
	return fmt.Sprintf("%+v", s.pools[c.target()])
}

func (b *backend) forgetLimits() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limits = nil
}

// gone waits until nothing is left of the channels.
func (s *soak) gone(goroutines int) {
	s.waitFor("everything to be gone", time.Minute, func() string {
		for _, b := range s.backends {
			if n := len(b.all()) + b.Open(); n > 0 {
				return fmt.Sprintf("%d ends of connections to %s", n, b.addr)
			}
		}
		if left := subchannelsOf(); len(left) > 0 {
			return fmt.Sprintf("channelz has %v", left)
		}
		if n := runtime.NumGoroutine(); n > goroutines {
			return fmt.Sprintf("%d goroutines, and there were %d", n, goroutines)
		}
		return ""
	})
	s.report()
}

// subchannelsOf tells how many subchannels gRPC has in each channel, by target.
func subchannelsOf() map[string]int {
	r, err := channelzServer.GetTopChannels(context.Background(), &channelzpb.GetTopChannelsRequest{})
	if err != nil {
		panic(err)
	}
	n := make(map[string]int)
	for _, c := range r.GetChannel() {
		n[c.GetData().GetTarget()] = len(c.GetSubchannelRef())
	}
	return n
}

// channelzServer is gRPC's service, without a server.
var channelzServer = func() channelzpb.ChannelzServer {
	var c capture
	channelz.RegisterChannelzServiceToServer(&c)
	return c.ChannelzServer
}()

type capture struct{ channelzpb.ChannelzServer }

func (c *capture) RegisterService(_ *grpc.ServiceDesc, impl any) {
	c.ChannelzServer = impl.(channelzpb.ChannelzServer)
}

// heapAlloc is what is left after a collection. What is in a sync.Pool outlives one.
func heapAlloc() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// isFlat compares the medians of the third and the last quarter.
func isFlat(t *testing.T, heap []uint64) {
	if len(heap) < rounds {
		return // -short
	}
	quarter := len(heap) / 4
	third, last := median(heap[2*quarter:3*quarter]), median(heap[len(heap)-quarter:])
	require.LessOrEqual(t, last, third+third/10+2<<20, "the heap grows: %v", heap)
}

func median(all []uint64) uint64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
