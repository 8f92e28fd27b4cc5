package picker

import "sync/atomic"

// A Gate is what the connections of one pool share: how they wake it, and the
// RPCs that wait outside because every connection is full. The functions may be
// nil; they are called with locks of gRPC held and must not block.
type Gate struct {
	Empty    func() // a draining connection may have become empty
	Pressure func() // a connection carries what Load.Watch said, or an RPC is held
	Room     func() // places came free that held RPCs may take
	Full     func() // an RPC was queued or refused, the first since TakeFull

	repeats repeats

	queued, refused atomic.Int64 // RPCs, since TakeFull

	terms Terms                 // of the picker that is built next
	crowd atomic.Pointer[crowd] // of the present picker; nil before Open
}

// A crowd is the RPCs that one picker holds. It belongs to that picker: counts of
// an outdated one must not get mixed up with those of its successor.
type crowd struct {
	waiting atomic.Int64 // for room
	freed   atomic.Int64 // places that came free meanwhile
}

// Terms are what the pool knows when a picker is built.
type Terms struct {
	// Hold is to hold RPCs for which there is no room, because a connection is on its way;
	// otherwise they wait in the least loaded one.
	Hold bool
	// Bound is how many may wait in connections that are full; 0 is any number, 1 is none.
	Bound int
	// Leaving are connections that drain: what waits there counts, too.
	Leaving []*Load
}

// Waiting returns how many RPCs the present picker holds. It overestimates: a
// cancelled one is not seen to go.
func (g *Gate) Waiting() int { return int(g.present().waiting.Load()) }

func (g *Gate) present() *crowd {
	if c := g.crowd.Load(); c != nil {
		return c
	}
	return &noCrowd
}

var noCrowd crowd // never written

// Open starts a new crowd. It comes before a new picker is built, and not while one is:
// when that is published each held RPC picks again, and is counted again if it is held again.
func (g *Gate) Open(terms Terms) {
	g.terms = terms
	g.crowd.Store(new(crowd))
}

// room counts places that came free, and tells the pool of the first one and when
// they are enough.
func (g *Gate) room(places int64) {
	c := g.present()
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
	c := g.present()
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
