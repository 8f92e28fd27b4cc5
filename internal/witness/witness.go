// Package witness lets a test look at every pool of the process after every step
// that it takes.
package witness

import (
	"fmt"
	"sync"

	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/lifecycle"
)

// Settled is nil but in tests, which set it before there is a pool. It is called under
// the pool's mutex and must not wait for anything that does.
var Settled func(Pool)

// A Pool is what one channel's pool has.
type Pool struct {
	Target    string
	Endpoints []Endpoint
	Lingering int // RPCs on connections that no subchannel has any more
	Closing   int // connections that gRPC was told to close, and has not yet
}

// An Endpoint is what a pool has at one endpoint.
type Endpoint struct {
	ID          any      // the same at each step; keeps nothing alive
	Addresses   []string // alternatives
	Removed     bool
	Size        int // that is wanted
	MaxSize     int
	Subchannels int // but for those that drain
	Ready       int
	Draining    int
	InFlight    int // RPCs on all of them
	Failures    int // to connect, in a row
	Urgent      int // retired so far though as many drained as maxSize, for they could not wait
	Shown       inspect.Budget
}

// Of makes an Endpoint of a snapshot.
func Of(id any, shown inspect.Endpoint, failures, urgent int) Endpoint {
	e := Endpoint{
		ID: id, Addresses: shown.Addresses, Removed: shown.Removed, Size: shown.Wanted, MaxSize: shown.MaxSize,
		Draining: shown.Budget.Draining, Failures: failures, Urgent: urgent, Shown: shown.Budget,
	}
	e.Subchannels = len(shown.Subchannels) - e.Draining
	for _, s := range shown.Subchannels {
		e.InFlight += s.InFlight
		if s.State == lifecycle.Ready.String() {
			e.Ready++
		}
	}
	return e
}

// A Budget holds endpoints against the promise of the one budget: connections ≤
// maxSize + budget + draining, and draining ≤ maxSize + those dropped by shrinking + those
// that were not well, were asked to be replaced or carried what the server takes.
type Budget struct {
	mu   sync.Mutex
	seen map[any]*dropped
}

// dropped is what counts since an endpoint last had none that drained: how many
// connections it retired because it shrank, and the largest maxSize, for settings that
// lower it find more draining.
type dropped struct{ size, urgent, count, maxSize int }

// Check looks at one endpoint after one step.
func (b *Budget) Check(e Endpoint) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.seen[e.ID]
	if d == nil {
		d = &dropped{}
		if b.seen == nil {
			b.seen = make(map[any]*dropped)
		}
		b.seen[e.ID] = d
	}
	d.count += max(0, d.size-e.Size) + e.Urgent - d.urgent
	d.size, d.urgent, d.maxSize = e.Size, e.Urgent, max(d.maxSize, e.MaxSize)
	if most := e.MaxSize + lifecycle.Budget(e.Size); e.Subchannels > most {
		return fmt.Errorf("%v: %d connections, more than maxSize %d and budget %d", e.Addresses, e.Subchannels, e.MaxSize, lifecycle.Budget(e.Size))
	}
	if e.Draining > d.maxSize+d.count {
		return fmt.Errorf("%v: %d drain, more than maxSize %d and %d dropped", e.Addresses, e.Draining, d.maxSize, d.count)
	}
	if s := e.Shown; s.Connections > s.MostConnections {
		return fmt.Errorf("%v: shown as %+v", e.Addresses, s)
	}
	if e.Draining == 0 {
		d.count, d.maxSize = 0, e.MaxSize
	}
	return nil
}

// Forget drops what is known of all endpoints: some are gone. None should drain now.
func (b *Budget) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.seen)
}
