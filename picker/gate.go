package picker

import (
	"math"
	"sync/atomic"
)

// A Gate is what the connections of one pool share: how they wake it, and the
// RPCs that wait outside because every connection is full. The functions may be
// nil; they are called with locks of gRPC held and must not block.
type Gate struct {
	Empty    func() // a draining connection may have become empty
	Pressure func() // a connection carries what Load.Watch said, or an RPC is held
	Room     func() // places came free that held RPCs may take
	Full     func() // an RPC was queued or refused, the first since TakeFull

	repeats atomic.Int64 // picks to come that are taken for repeats: see repeat.go

	queued, refused atomic.Int64 // RPCs, since TakeFull

	holding atomic.Bool           // of the picker that is built next
	bound   atomic.Int64          // of the same: how many RPCs may wait, and one; 0 is no bound
	leaving []*Load               // of the same: connections that drain
	crowd   atomic.Pointer[crowd] // of the present picker; nil before Open
}

// A crowd is the RPCs that one picker holds. It belongs to that picker: counts of
// an outdated one must not get mixed up with those of its successor.
type crowd struct {
	waiting atomic.Int64 // for room
	freed   atomic.Int64 // places that came free meanwhile
	kept    atomic.Int64 // for a connection made after a GOAWAY: see repeat.go
}

// Hold says whether the next picker holds RPCs for which there is no room, because
// a connection is on its way. Otherwise they wait in the least loaded connection.
// It belongs to the picker, for one that is outdated does not know the connection
// that came.
func (g *Gate) Hold(on bool) { g.holding.Store(on) }

// Bound says how many RPCs the next picker lets wait in connections that are full;
// math.MaxInt32, or a Gate that was never told, is no bound.
func (g *Gate) Bound(n int) {
	if n >= math.MaxInt32 {
		n = -1
	}
	g.bound.Store(int64(n) + 1)
}

// Leaving names the connections that drain, for what waits there counts, too. It must
// not be called while a picker is built.
func (g *Gate) Leaving(loads []*Load) { g.leaving = loads }

// Waiting returns how many RPCs the present picker holds. It overestimates: a
// cancelled one is not seen to go.
func (g *Gate) Waiting() int {
	if c := g.crowd.Load(); c != nil {
		return int(c.waiting.Load() + c.kept.Load())
	}
	return 0
}

// Open starts a new crowd. It comes before a new picker is built: when that is
// published each held RPC picks again, and is counted again if it is held again.
func (g *Gate) Open() {
	if old := g.crowd.Swap(new(crowd)); old != nil {
		g.repeats.Add(old.kept.Swap(0))
	}
}

// room counts places that came free, and tells the pool of the first one and when
// they are enough.
func (g *Gate) room(places int64) {
	c := g.crowd.Load()
	if c == nil {
		return
	}
	waiting := c.waiting.Load()
	if waiting == 0 {
		return
	}
	n := c.freed.Add(places)
	if before, e := n-places, enough(waiting); before == 0 || before < e && n >= e {
		call(g.Room)
	}
}

// Freed reports whether places came free that held RPCs may take, and whether so
// many that it is worth a publication at once.
func (g *Gate) Freed() (some, many bool) {
	c := g.crowd.Load()
	if c == nil {
		return false, false
	}
	waiting, freed := c.waiting.Load(), c.freed.Load()
	return waiting > 0 && freed > 0, waiting > 0 && freed >= enough(waiting)
}

// enough is an eighth of the waiting RPCs: each publication makes all of them pick
// again, and one for each place that comes free would cost the square of their
// number (the objection in gRFC A105).
func enough(waiting int64) int64 { return max(1, waiting/8) }

// count counts an RPC that found every connection full.
func (g *Gate) count(rpcs *atomic.Int64) {
	if rpcs.Add(1) == 1 {
		call(g.Full)
	}
}

// TakeFull returns how many RPCs had to wait in a connection that is full, and how many
// were refused, since it was last called.
func (g *Gate) TakeFull() (queued, refused int) {
	return int(g.queued.Swap(0)), int(g.refused.Swap(0))
}

func call(f func()) {
	if f != nil {
		f()
	}
}
