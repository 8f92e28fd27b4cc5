package worlds

import (
	"encoding/json"
	"slices"

	"google.golang.org/grpc/codes"
)

// sizes are the bounds of the pool.
func (w *World) sizes() (least, most int) {
	s := struct{ Size, MinSize, MaxSize int }{MinSize: 1, MaxSize: 4}
	if err := json.Unmarshal([]byte(w.Setting), &s); err != nil {
		panic(err)
	}
	if s.Size > 0 {
		return s.Size, s.Size
	}
	return s.MinSize, max(s.MinSize, s.MaxSize)
}

// most is how many connections the pool may have.
func (w *World) most() int {
	_, most := w.sizes()
	if w.Apart {
		most *= len(w.Servers)
	}
	return most
}

// references are the numbers of plain channels that the pool is held against: its size; of
// a pool that grows one, or as many as it had, whichever suits the world better.
func (w *World) references(f *figures) []int {
	least, most := w.sizes()
	if least == most {
		return []int{most}
	}
	had := f.most
	if w.Apart {
		had = (had + len(w.Servers) - 1) / len(w.Servers)
	}
	if had = max(1, min(had, most)); had == 1 {
		return []int{1}
	}
	return []int{1, had}
}

// loses reports whether connections may end with RPCs on them that are lost, and not only
// refused: gRPC repeats those by itself.
func (w *World) loses() bool {
	for _, s := range w.Servers {
		if s.Few > 0 || (s.Age > 0 || s.Idle > 0) && s.Ending.losesRPCs() {
			return true
		}
	}
	return slices.ContainsFunc(w.Events, func(e Event) bool {
		switch e.What {
		case Restart, Flap, Refuse, Hang, Darken:
			return true
		case SetLimit, RefuseStream:
			return false
		}
		return e.Ending.losesRPCs()
	})
}

// closed reports whether how many RPCs are made depends on how soon they end.
func (w *World) closed() bool {
	return slices.ContainsFunc(w.Callers, func(c Callers) bool { return c.Loop > 0 })
}

// endsWithoutStreams reports whether every server allows none in the end, and so none to ask for health.
func (w *World) endsWithoutStreams() bool {
	for i := range w.Servers {
		if !w.allowsNone(i) {
			return false
		}
	}
	return true
}

// allowsNone reports whether a server allows no streams any more, but for that of the health checking.
func (w *World) allowsNone(i int) bool {
	last := Event{Limit: 2} // that sets its limit
	for _, e := range w.Events {
		if e.What == SetLimit && (e.Server < 0 || e.Server == i) && e.At >= last.At {
			last = e
		}
	}
	return last.Limit == 0 || last.Limit == 1 && w.Health
}

// hopeless reports whether all servers fail all RPCs, or allow none: how soon they do matters to none.
func (w *World) hopeless() bool {
	for i, s := range w.Servers {
		if s.Fails == codes.OK && (w.fails() < 0 || !w.allowsNone(i)) {
			return w.Health && w.endsWithoutStreams()
		}
	}
	return true
}

// allTrouble reports whether the application answers all RPCs that the servers do not fail as a server
// in trouble would: which of the two it is, is chance.
func (w *World) allTrouble() bool {
	return !slices.ContainsFunc(w.Callers, func(c Callers) bool {
		return (c.Rate > 0 || c.Loop > 0) && (c.CodeOneIn != 1 || c.Code != codes.Unavailable)
	})
}

// fails is the server that fails all RPCs, -1 if there is none.
func (w *World) fails() int {
	return slices.IndexFunc(w.Servers, func(s Server) bool { return s.Fails != codes.OK })
}
