package balancer

import "sync"

// limited are the pools whose last word on the limit of streams was a number, by target:
// the gauge has no other label, and is of whoever spoke last. That must not be a pool that
// ends, or that knows of no limit any more, so then the others say theirs again.
var limited = struct {
	sync.Mutex
	pools map[string]map[*pool]bool
}{pools: map[string]map[*pool]bool{}}

// enter comes before p's word: who says later that it has no limit then finds p here.
func (p *pool) enter() {
	limited.Lock()
	defer limited.Unlock()
	if limited.pools[p.target] == nil {
		limited.pools[p.target] = map[*pool]bool{}
	}
	limited.pools[p.target][p] = true
}

// leave comes after it.
func (p *pool) leave() {
	limited.Lock()
	defer limited.Unlock()
	others := limited.pools[p.target]
	delete(others, p)
	if len(others) == 0 {
		delete(limited.pools, p.target)
	}
	for other := range others {
		other.hidden.raise()
	}
}
