package balancer

import (
	"cmp"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/lifecycle"
	"github.com/grpc-subpool/subpool/internal/load"
	poolresolver "github.com/grpc-subpool/subpool/resolver"
)

// noLimit is the stream limit of a server that has none, or of which none is known.
const noLimit = lifecycle.NoLimit

// endpoints are those of a pool, in the order in which the resolver first listed them.
type endpoints struct {
	list       []*endpoint
	byID       map[lifecycle.ID]*subchannel // those that have dialled
	byAddr     map[string][]*endpoint       // by leastAddr
	lastID     lifecycle.ID
	update     int // of the resolver, the last one
	warnedSize bool

	marked    []*endpoint // for the next step: see news
	deadlines deadlines
	retrying  []*endpoint // that have a retry period
	sum       sum
}

func newEndpoints() endpoints {
	return endpoints{
		byID: make(map[lifecycle.ID]*subchannel), byAddr: make(map[string][]*endpoint),
		sum: sum{limits: make(map[int]int)},
	}
}

// An endpoint is the life cycle of one endpoint, with the address that it stands for.
type endpoint struct {
	*lifecycle.Endpoint
	addr        resolver.Endpoint
	subchannels []*subchannel  // that have dialled and are not closed, oldest first
	plan        lifecycle.Plan // the last one
	goAways     goAways
	urgent      int // connections that were retired though maxSize drained already
	listedIn    int // the last update that listed it

	news       news
	signals    *load.Signals // that its connections have
	marked     bool
	nextDemand time.Time // no look at the demand before
	deadline   time.Time // in deadlines; or zero
	queuedAt   int       // where in them
	part       part      // in endpoints.sum

	waitsToDial bool // in dials
}

func (p *pool) newEndpointLocked(addr resolver.Endpoint) *endpoint {
	newID := func() lifecycle.ID { p.endpoints.lastID++; return p.endpoints.lastID }
	e := &endpoint{addr: addr, Endpoint: lifecycle.New(settingsOf(addr, *p.cfg), addrsOf(addr), p.since, newID, rand.Float64)}
	e.signals = p.signalsOf(e)
	return e
}

// subchannelLocked returns the subchannel of e that s is the life cycle of.
func (p *pool) subchannelLocked(e *endpoint, s *lifecycle.Subchannel) *subchannel {
	sub := p.endpoints.byID[s.ID()]
	if sub == nil {
		sub = &subchannel{Subchannel: s, endpoint: e, subConns: make([]*subConn, len(e.addr.Addresses))}
		p.endpoints.byID[s.ID()] = sub
		at, _ := slices.BinarySearchFunc(e.subchannels, s.ID(), func(o *subchannel, id lifecycle.ID) int { return cmp.Compare(o.ID(), id) })
		e.subchannels = slices.Insert(e.subchannels, at, sub)
	}
	return sub
}

// drop forgets a subchannel that is closed.
func (x *endpoints) drop(e *endpoint, s *subchannel) {
	delete(x.byID, s.ID())
	e.subchannels = slices.DeleteFunc(e.subchannels, func(o *subchannel) bool { return o == s })
}

// ready goes through the READY subchannels.
func (e *endpoint) ready() iter.Seq[*subchannel] {
	return func(yield func(*subchannel) bool) {
		for _, s := range e.subchannels {
			if s.Phase() == lifecycle.Ready && !yield(s) {
				return
			}
		}
	}
}

// setEndpointsLocked makes the endpoints those of addrs: new ones are added, those that are
// missing only finish their RPCs, the rest is not touched.
func (p *pool) setEndpointsLocked(addrs []resolver.Endpoint, now time.Time) {
	x := &p.endpoints
	x.update++
	only := x.only()
	unwanted := only != nil && !only.Wanted()
	var added, removed []resolver.Endpoint
	search := endpointSearch{endpoints: x}
	for _, addr := range addrs {
		if len(addr.Addresses) == 0 {
			continue
		}
		if e := search.find(addr); e != nil {
			e.list(addr, e.listedIn == x.update)
			e.listedIn = x.update
			continue
		}
		e := p.newEndpointLocked(addr)
		if x.sum.active {
			e.SetActive(true)
			e.Wake(now)
		}
		e.listedIn = x.update
		x.add(e)
		x.mark(e)
		added = append(added, addr)
	}
	for _, e := range x.list {
		listed := e.listedIn == x.update
		switch {
		case e.Removed() && listed:
			added = append(added, e.addr)
		case !e.Removed() && !listed:
			removed = append(removed, e.addr)
		}
		set, moved := e.SetSettings(settingsOf(e.addr, *p.cfg), now), e.SetRemoved(!listed)
		again := listed && e.TryAgain()
		if set || moved || again {
			x.mark(e)
		}
	}
	x.shareWant(unwanted)
	p.decideEndpointsLocked("added", added, now)
	p.decideEndpointsLocked("removed", removed, now)
	p.warnOfSizeLocked()
}

// shareWant keeps it for other endpoints that no RPC wants a connection, as long as there is one at a time: a
// plain channel that is IDLE stays so. To several endpoints it dials at once.
func (x *endpoints) shareWant(unwanted bool) {
	if only := x.only(); only != nil && unwanted {
		only.Unwanted()
		return
	}
	for _, e := range x.list {
		if !e.Removed() && !e.Wanted() {
			e.SetWanted()
			x.mark(e)
		}
	}
}

// only returns the endpoint that the resolver lists alone; nil if it lists none, or several.
func (x *endpoints) only() (only *endpoint) {
	for _, e := range x.list {
		switch {
		case e.Removed():
		case only != nil:
			return nil
		default:
			only = e
		}
	}
	return only
}

// list takes the address as the resolver lists it now. The order of its addresses stays:
// SubConns go by it. BalancerAttributes, which only parent policies read, hold from the next dial. Of an
// endpoint that is listed twice the larger size counts, in any order.
func (e *endpoint) list(addr resolver.Endpoint, again bool) {
	addr.Addresses, _ = inOrderOf(e.addr.Addresses, addr.Addresses)
	if !again || sizeOf(addr) > sizeOf(e.addr) {
		e.addr = addr
	}
}

func sizeOf(e resolver.Endpoint) int { n, _ := poolresolver.Size(e); return n }

// settingsOf returns the settings of an endpoint: its size is what the resolver says, if it
// says any.
func settingsOf(e resolver.Endpoint, c config.Config) config.Config {
	if n, ok := poolresolver.Size(e); ok {
		c.MinSize, c.MaxSize = n, n
	}
	return c
}

// warnOfSizeLocked says once that the sizes of all endpoints come to very much.
func (p *pool) warnOfSizeLocked() {
	listed, largest, all := 0, 0, 0
	for _, e := range p.endpoints.list {
		if !e.Removed() {
			size := settingsOf(e.addr, *p.cfg).MaxSize
			listed, largest, all = listed+1, max(largest, size), all+size
		}
	}
	if all > config.MaxSubchannels && !p.endpoints.warnedSize {
		p.endpoints.warnedSize = true
		logger.Warningf("subpool: %s: %d endpoints with up to %d subchannels each may make %d connections", p.labelLocked(), listed, largest, all)
	}
}

// hasEndpointLocked reports whether the resolver lists any.
func (p *pool) hasEndpointLocked() bool {
	return slices.ContainsFunc(p.endpoints.list, func(e *endpoint) bool { return !e.Removed() })
}
