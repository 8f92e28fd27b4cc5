package inspect

import (
	"slices"
	"sync"
	"sync/atomic"
)

// A Source is a live pool, as the policy shows it. Snapshot is false once the pool is
// closed.
type Source interface {
	Snapshot() (Pool, bool)
	Recycle()
}

// A Handle is a pool of this process. It may be kept: when the pool is closed, with
// its channel or because that went idle, the handle lets go of it.
type Handle struct {
	id     uint64
	source atomic.Pointer[Source]
}

var live struct {
	sync.Mutex
	last    uint64
	handles []*Handle // oldest first
}

// Register adds a pool to [Pools], until remove is called. The policy does so for each
// pool that it builds; nobody else needs to.
func Register(s Source) (remove func()) {
	live.Lock()
	defer live.Unlock()
	live.last++
	h := &Handle{id: live.last}
	h.source.Store(&s)
	live.handles = append(live.handles, h)
	return func() {
		h.source.Store(nil)
		live.Lock()
		defer live.Unlock()
		live.handles = slices.DeleteFunc(live.handles, func(o *Handle) bool { return o == h })
	}
}

// Pools returns the live pools of this process, oldest first. A channel has one while
// it is not idle, or several if a parent policy has made them.
func Pools() []*Handle {
	live.Lock()
	defer live.Unlock()
	return slices.Clone(live.handles)
}

// ID returns the number of the pool, unique in this process.
func (h *Handle) ID() uint64 { return h.id }

// Snapshot copies what the pool is at this moment; false if it is closed. It takes
// the lock of the pool for a time that grows with the number of its subchannels, and
// never holds up an RPC. Do not call it from what the pool calls under that lock: a
// MetricsRecorder, a logger, a picker builder, a resolver's ResolveNow.
func (h *Handle) Snapshot() (Pool, bool) {
	s := h.source.Load()
	if s == nil {
		return Pool{}, false
	}
	p, ok := (*s).Snapshot()
	p.ID = h.id
	return p, ok
}

// Recycle replaces every connection that the pool has now, as if all had reached the
// end of their lives: within the budget, the successor connects first, the old one
// finishes its RPCs. It returns at once. Use it after the certificate of the client
// has changed, or when an address leads somewhere else now. Where it may be called
// from, see Snapshot.
func (h *Handle) Recycle() {
	if s := h.source.Load(); s != nil {
		(*s).Recycle()
	}
}
