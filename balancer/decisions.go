package balancer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/lifecycle"
)

// A decision is what was decided or happened, in words.
type decision struct {
	what, why string
	cause     string // what gRPC or the server says of it: not for the log
	warn      bool
}

// recordLocked tells what an endpoint has decided: to the counters, and in words.
func (p *pool) recordLocked(e *endpoint, decisions []lifecycle.Decision, now time.Time) {
	for _, d := range decisions {
		p.countDecisionLocked(d)
		if d.Urgent {
			e.urgent++
		}
		if d.Text == "" {
			continue
		}
		why := d.Text
		if d.Kind != lifecycle.Failed { // which names the address
			why += " (" + nameOf(e.addr) + ")"
		}
		p.decideLocked(now, decision{what: d.Kind.String(), why: why, cause: d.Cause, warn: d.Warn})
	}
}

// decideLocked logs a decision and keeps it.
func (p *pool) decideLocked(now time.Time, d decision) {
	d.why = shortened(d.why)
	if d.warn {
		logger.Warningf("subpool: %s: %s", p.labelLocked(), d.why)
	} else {
		logger.Infof("subpool: %s: %s", p.labelLocked(), d.why)
	}
	p.decisions.add(inspect.Decision{At: now, What: d.what, Why: d.why}, d.cause)
}

// labelLocked is what the pool is called in the log.
func (p *pool) labelLocked() string {
	if p.cfg == nil || p.cfg.Name == "" {
		return p.target
	}
	return fmt.Sprintf("%s (%s)", p.target, p.cfg.Name)
}

// keptDecisions is how many decisions a pool remembers.
const keptDecisions = 64

// A decisionLog is the last decisions of a pool.
type decisionLog struct {
	ring [keptDecisions]inspect.Decision
	n    int    // decisions there ever were
	last string // the last one in words, without its cause
}

// add keeps a decision. One that is just like the last takes its place, or a server that is
// down would soon be all that is remembered. A cause may differ: it has the port of the
// client in it.
func (l *decisionLog) add(d inspect.Decision, cause string) {
	words := d.What + ": " + d.Why
	if l.n > 0 && words == l.last {
		l.n--
	}
	if cause != "" {
		d.Why = shortened(d.Why + ": " + cause)
	}
	l.ring[l.n%keptDecisions], l.last = d, words
	l.n++
}

// all returns them, oldest first.
func (l *decisionLog) all() []inspect.Decision {
	if l.n <= keptDecisions {
		return slices.Clone(l.ring[:l.n])
	}
	i := l.n % keptDecisions
	return slices.Concat(l.ring[i:], l.ring[:i])
}

// longest bounds a decision in words, in bytes: servers write causes.
const longest = 500

func shortened(why string) string {
	if len(why) <= longest {
		return why
	}
	return strings.ToValidUTF8(why[:longest], "") + "…"
}

// nameOf is what an endpoint is called in words.
func nameOf(e resolver.Endpoint) string { return strings.Join(addrsOf(e), " or ") }

func addrsOf(e resolver.Endpoint) (addrs []string) {
	for _, a := range e.Addresses {
		addrs = append(addrs, a.Addr)
	}
	return addrs
}

// decideStateLocked says that gRPC is told another state.
func (p *pool) decideStateLocked(next *published, now time.Time) {
	if p.published.state == next.state {
		return
	}
	p.decideLocked(now, decision{
		what:  "state",
		why:   fmt.Sprintf("%v→%v", p.published.state, next.state),
		cause: strings.TrimPrefix(next.err, "subpool: "+p.target+": "),
	})
}

// decideEndpointsLocked says that the resolver lists other endpoints.
func (p *pool) decideEndpointsLocked(what string, endpoints []resolver.Endpoint, now time.Time) {
	if len(endpoints) == 0 {
		return
	}
	var names []string
	for _, e := range endpoints {
		names = append(names, nameOf(e))
	}
	p.decideLocked(now, decision{what: "endpoints", why: what + " " + strings.Join(names, ", ")})
}

// recordForceClosedLocked says that a connection is closed with RPCs in flight.
func (p *pool) recordForceClosedLocked(rpcs int, now time.Time) {
	p.countForceClosedLocked(rpcs)
	why := fmt.Sprintf("a connection is closed with %d RPCs in flight, for it did not drain in %v", rpcs, p.cfg.DrainTimeout)
	p.decideLocked(now, decision{what: "force_closed", why: why, warn: true})
}
