// Package registry lists the live pools of this process.
package registry

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/grpc-subpool/subpool/inspect"
)

// A Source is a live pool, as the policy shows it. Snapshot is false once the pool is
// closed.
type Source interface {
	Snapshot() (inspect.Pool, bool)
	Recycle()
}

// A handle lets go of its pool when that is closed.
type handle struct {
	id     uint64
	target string
	source atomic.Pointer[Source]
}

var live struct {
	sync.Mutex
	last    uint64
	handles []*handle // oldest first
}

// Register adds a pool to [Pools] and [OfTarget], until remove is called.
func Register(target string, s Source) (remove func()) {
	live.Lock()
	defer live.Unlock()
	live.last++
	h := &handle{id: live.last, target: target}
	h.source.Store(&s)
	live.handles = append(live.handles, h)
	return func() {
		h.source.Store(nil)
		live.Lock()
		defer live.Unlock()
		live.handles = slices.DeleteFunc(live.handles, func(o *handle) bool { return o == h })
	}
}

// Pools returns the live pools of this process, oldest first.
func Pools() []inspect.Handle {
	live.Lock()
	defer live.Unlock()
	handles := make([]inspect.Handle, len(live.handles))
	for i, h := range live.handles {
		handles[i] = h
	}
	return handles
}

// OfTarget returns the live pools that were registered with this target.
func OfTarget(target string) (sources []Source) {
	live.Lock()
	defer live.Unlock()
	for _, h := range live.handles {
		if s := h.source.Load(); s != nil && h.target == target {
			sources = append(sources, *s)
		}
	}
	return sources
}

func (h *handle) ID() uint64 { return h.id }

func (h *handle) Snapshot() (inspect.Pool, bool) {
	s := h.source.Load()
	if s == nil {
		return inspect.Pool{}, false
	}
	p, ok := (*s).Snapshot()
	p.ID = h.id
	return p, ok
}

func (h *handle) Recycle() {
	if s := h.source.Load(); s != nil {
		(*s).Recycle()
	}
}
