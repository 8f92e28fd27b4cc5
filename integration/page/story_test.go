package page

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/inspect"
)

// A story is a pool that exists only to be looked at. Each look moves it on by a
// second, so that what is seen depends on no clock.
type story struct {
	mu       sync.Mutex
	looks    int
	until    int // the last second of it, if that is not 0
	recycled int
	tell     func(look int) inspect.Pool
}

func (s *story) Snapshot() (inspect.Pool, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	if s.until > 0 {
		s.looks = min(s.looks, s.until)
	}
	return s.tell(s.looks), true
}

func (s *story) Recycle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recycled++
}

func (s *story) timesRecycled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recycled
}

// rewind goes to a second of the story; from there it goes on until another one.
func (s *story) rewind(to, until int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks, s.until = to, until
}

var storyBegan = time.Date(2026, 3, 14, 9, 26, 53, 0, time.Local) //nolint:gosmopolitan // a page shows local time

// risingTide is a pool of 3 to 8 whose load rises, falls, and rises above what eight
// connections with 100 streams each can carry.
func risingTide(look int) inspect.Pool {
	settings := config.Default()
	settings.MinSize, settings.MaxSize = 3, 8
	at := storyBegan.Add(time.Duration(look) * time.Second)
	size, inFlight := 0, 0
	for l := 1; l <= look; l++ {
		inFlight = tide(l)
		size = min(8, max(size, 3, int(math.Ceil(1.25*float64(inFlight)/100))))
	}
	e := inspect.Endpoint{
		Addresses: []string{"10.20.0.31:443"}, State: "READY", MinSize: 3, MaxSize: 8, Wanted: size,
		Demand: inFlight, Peak: 861, Limit: 100, Missing: max(0, int(math.Ceil(1.25*float64(inFlight)/100))-8),
		Budget: inspect.Budget{Connections: size, MostConnections: 9},
	}
	for i := range size {
		e.Subchannels = append(e.Subchannels, tideSubchannel(i, size, inFlight, at))
	}
	if look%60 > 45 { // a renewal
		old := tideSubchannel(1, size, 0, at)
		old.ID, old.State, old.InFlight, old.EndOfLife = 2, "draining", 4, nil
		e.Subchannels = append([]inspect.Subchannel{old}, e.Subchannels...)
		e.Budget.Connections, e.Budget.Draining, e.Budget.MostConnections = size+1, 1, 10
	}
	return inspect.Pool{
		Target: "dns:///orders.internal.example.com:443", State: "READY", At: at,
		Since: storyBegan.Add(-26 * time.Hour), Settings: settings, Endpoints: []inspect.Endpoint{e},
		Queued: max(0, inFlight-800),
		Totals: inspect.Totals{Opened: 1204, Failed: 7, Grown: 31, Held: 212, Queued: 1377,
			Retired: map[string]int64{"idle": 812, "max_lifetime": 371, "shrink": 9, "lost": 6}},
		Decisions: tideDecisions(look),
	}
}

func tide(look int) int {
	x := float64(look)
	late := (x - 265) / 22
	base := 330 - 270*math.Cos(x/28) + 260*math.Exp(-late*late)
	return max(4, int(base+24*math.Sin(x*1.7)+16*math.Sin(x*3.1)))
}

func tideSubchannel(i, size, inFlight int, at time.Time) inspect.Subchannel {
	connected := storyBegan.Add(-time.Duration(41*60+i*613) * time.Second / time.Duration(1+i/3))
	end := storyBegan.Add(time.Duration(17*60-i*83) * time.Second)
	started := 48211 - i*5113 + 31*int(at.Sub(storyBegan)/time.Second)
	return inspect.Subchannel{
		ID: 11 + i*7, Address: "10.20.0.31:443", State: "ready", Connected: &connected, EndOfLife: &end, LastUse: &at,
		InFlight: (inFlight + i) / size, Started: uint32(started), Limit: 100,
		Replaces: []string{"max_lifetime", "idle", "", "lost"}[i%4],
	}
}

func tideDecisions(look int) []inspect.Decision {
	var all []inspect.Decision
	size := 3
	for l := 1; l <= look; l++ {
		at := storyBegan.Add(time.Duration(l) * time.Second)
		n := min(8, max(size, int(math.Ceil(1.25*float64(tide(l))/100))))
		if n > size {
			all = append(all, inspect.Decision{At: at, What: "grew",
				Why: fmt.Sprintf("grew %d→%d: %d in flight, %d per subchannel, limit 100", size, n, tide(l), tide(l)/size)})
		}
		size = n
		if l%60 == 46 {
			all = append(all, inspect.Decision{At: at, What: "renewed",
				Why: "subchannel 2 is 52m old, its life was drawn as 51m 40s; subchannel 18 took over, 4 RPCs finish on the old one"})
		}
	}
	return all
}

// outage is a pool whose second backend went away.
func outage(look int) inspect.Pool {
	p := risingTide(60)
	p.Target, p.Settings.MinSize, p.Queued = "subpool:///billing-a:8443,billing-b:8443?size=3", 3, 0
	p.Settings.MaxSize = 3
	e := p.Endpoints[0]
	e.Addresses, e.MaxSize, e.Wanted, e.Demand, e.Peak, e.Limit = []string{"10.8.1.4:8443", "[2001:db8::4]:8443"}, 3, 3, 9, 41, -1
	e.Budget = inspect.Budget{Connections: 3, MostConnections: 4}
	e.Subchannels = e.Subchannels[1:4]
	for i := range e.Subchannels {
		e.Subchannels[i].Address, e.Subchannels[i].InFlight, e.Subchannels[i].Limit = e.Addresses[0], 3+(look+i)%3, -1
	}
	e.Subchannels[2].Suspect = true
	gone := inspect.Endpoint{Addresses: []string{"10.8.1.5:8443"}, State: "TRANSIENT_FAILURE", MinSize: 3, MaxSize: 3, Wanted: 3,
		Limit: -1, Budget: inspect.Budget{Connections: 1, MostConnections: 4},
		Subchannels: []inspect.Subchannel{{ID: 31, State: "backoff", Limit: -1, Replaces: "lost"},
			{ID: 32, State: "idle", Limit: -1, Replaces: "lost"}, {ID: 33, State: "connecting", Limit: -1, Replaces: "lost"}}}
	p.Endpoints = []inspect.Endpoint{e, gone}
	p.Lingering = []inspect.Lingering{{Transport: inspect.Transport{GoAway: `GOAWAY, code: ENHANCE_YOUR_CALM, debug data: "too_many_pings"`}, InFlight: 2}}
	p.Error = `connection error: desc = "transport: Error while dialing: dial tcp 10.8.1.5:8443: connect: connection refused"`
	p.Decisions = append(p.Decisions,
		inspect.Decision{At: p.At, What: "lost", Why: "subchannels 31, 32, 33 of 10.8.1.5:8443 lost their connections"},
		inspect.Decision{At: p.At, What: "suspected", Why: "subchannel 25 has answered nothing for 10s, and is replaced"})
	return p
}
