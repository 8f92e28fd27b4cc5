package page

import (
	"strconv"
	"time"

	"github.com/grpc-subpool/subpool/inspect"
)

const refusedError = `connection error: desc = "transport: Error while dialing: dial tcp 10.8.1.5:8443: connect: connection refused"`

// well is a pool that has nothing wrong.
func well(look int) inspect.Pool {
	p := risingTide(20)
	p.Target, p.At = "dns:///well.internal.example.com:443", storyBegan.Add(time.Duration(look)*time.Second)
	return p
}

// named is a pool by another name.
func named(target string, tell func(int) inspect.Pool) func(int) inspect.Pool {
	return func(look int) inspect.Pool {
		p := tell(look)
		p.Target = target
		return p
	}
}

// short is a pool of which more is asked than maxSize connections may carry: each second 50 RPCs
// begin, 2 fail, and 10 get a stream after half a second.
func short(look int) inspect.Pool {
	p := well(look)
	p.Target, p.Name = "dns:///short.internal.example.com:443", "checkout"
	p.Settings.MinSize, p.Settings.MaxSize = 1, 4
	p.Queued = 40
	p.Totals.Queued, p.Totals.WaitSeconds = int64(40+10*look), 5*float64(look)
	e := &p.Endpoints[0]
	e.MinSize, e.MaxSize, e.Wanted, e.Missing, e.Demand, e.Peak, e.Limit = 1, 4, 4, 11, 80, 120, 10
	e.Budget = inspect.Budget{Connections: 4, MostConnections: 5}
	e.Subchannels = nil
	for i := range 4 {
		s := tideSubchannel(i, 4, 80, storyBegan) // which counts nothing
		s.InFlight, s.Limit, s.ChannelzID = 20, 10, int64(40+i)
		s.Local, s.Remote = "10.0.0.7:4870"+strconv.Itoa(i), "10.20.0.31:443"
		if i == 1 {
			s.GoAway = `GOAWAY, code: NO_ERROR, debug data: "max_age"`
		}
		s.TCP = &inspect.TCP{RTT: 1_260_000, RTTVariance: 310_000, MinRTT: 870_000,
			CongestionWindow: 10, Unacknowledged: 2, PacketsSent: 12_044, PacketsRetransmitted: 31}
		if i == 0 { // it counts on, beyond the largest number
			s.Started, s.Failed = uint32(1<<32-100+50*look), uint32(2*look)
		}
		e.Subchannels = append(e.Subchannels, s)
	}
	return p
}

// capped is a pool whose demand was too large a while ago: nothing waits.
func capped(look int) inspect.Pool {
	p := short(look)
	p.Target, p.Name, p.Queued = "dns:///capped.internal.example.com:443", "", 0
	e := &p.Endpoints[0]
	e.Missing, e.Limit = 2, -1
	for i := range e.Subchannels {
		e.Subchannels[i].InFlight, e.Subchannels[i].Limit = 110, -1
	}
	return p
}

func misspelt(look int) inspect.Pool {
	p := well(look)
	p.Target, p.Ignored = "dns:///misspelt.internal.example.com:443", []string{"maxsize"}
	return p
}

func suspicious(look int) inspect.Pool {
	p := well(look)
	p.Target = "dns:///suspicious.internal.example.com:443"
	p.Endpoints[0].Subchannels[1].Suspect = true
	return p
}

// partly is a pool with connections of which some cannot be made.
func partly(look int) inspect.Pool {
	p := well(look)
	p.Target, p.Error = "dns:///partly.internal.example.com:443", refusedError
	all := p.Endpoints[0].Subchannels
	all[2] = inspect.Subchannel{ID: all[2].ID, State: "backoff", Limit: -1}
	return p
}

// connecting is a pool whose RPCs wait for its first connection.
func connecting(look int) inspect.Pool {
	p := well(look)
	p.Target, p.State, p.Held = "dns:///connecting.internal.example.com:443", "CONNECTING", 12
	e := &p.Endpoints[0]
	e.State, e.Subchannels = "CONNECTING", []inspect.Subchannel{{ID: 1, State: "connecting", Limit: -1}}
	return p
}

// failing is a pool that is not connected at all.
func failing(look int) inspect.Pool {
	p := well(look)
	p.Target, p.State, p.Error = "dns:///failing.internal.example.com:443", "TRANSIENT_FAILURE", refusedError
	e := &p.Endpoints[0]
	e.State, e.Budget.Connections = "TRANSIENT_FAILURE", 0
	for i, s := range e.Subchannels {
		e.Subchannels[i] = inspect.Subchannel{ID: s.ID, State: []string{"backoff", "idle", "idle"}[i], Limit: -1}
	}
	return p
}

// large is a pool with n subchannels to one endpoint.
func large(n int) func(int) inspect.Pool {
	return func(look int) inspect.Pool {
		p := well(look)
		p.Target = "dns:///large.internal.example.com:443"
		p.Settings.MinSize, p.Settings.MaxSize = n, n
		e := &p.Endpoints[0]
		e.MinSize, e.MaxSize, e.Wanted = n, n, n
		e.Budget = inspect.Budget{Connections: n, MostConnections: n + 7}
		e.Subchannels = nil
		for i := range n {
			s := tideSubchannel(i%8, 8, 0, p.At)
			connected := p.At.Add(-time.Duration(i*i+30) * time.Second)
			s.ID, s.Connected, s.InFlight, s.Started = i+1, &connected, i*13%101, 0
			if i%32 == 31 {
				s.State, s.Retired = "draining", "max_lifetime"
			}
			e.Subchannels = append(e.Subchannels, s)
		}
		return p
	}
}
