package balancer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/inspect"
)

// A note is a decision, and why, in words.
type note struct {
	what, why string
	err       string // what others say of it: not for the log
	warn      bool
}

func (e *endpoint) note(what, format string, args ...any) {
	e.notes = append(e.notes, note{what: what, why: fmt.Sprintf(format, args...)})
}

// noteSize says why another size is wanted.
func (e *endpoint) noteSize(was, size, base int) {
	peak, limit := e.window.peak(), fmt.Sprint("limit ", e.limit)
	if e.limit > e.cfg.TargetStreams {
		limit = fmt.Sprint("targetStreams ", e.cfg.TargetStreams)
	}
	when := ""
	if e.demand < peak {
		when = " of late"
	}
	why := fmt.Sprintf("at most %d in flight in the last %v, %s", peak, e.cfg.IdleTimeout, limit)
	switch {
	case e.removed: // see noteEndpoints
		return
	case size > base:
		why = fmt.Sprintf("%d in flight%s, %d per subchannel, %s", peak, when, peak/max(was, 1), limit)
	case size > was && size <= e.cfg.MinSize:
		why = fmt.Sprint("minSize ", e.cfg.MinSize)
	case size > was:
		why = "somebody uses it"
	case was > e.cfg.MaxSize:
		why = fmt.Sprint("maxSize ", e.cfg.MaxSize)
	case size == 0:
		why = fmt.Sprint("nobody used it for ", e.cfg.IdleTimeout)
	}
	what := "grew"
	if size < was {
		what = "shrank"
	}
	e.note(what, "%s %d→%d: %s", what, was, size, why)
}

// noteLimit says that the server allows other than it did: once a second at most, for
// a server may change its mind a thousand times in one.
func (e *endpoint) noteLimit(now time.Time) {
	if now.Before(e.quiet) {
		return
	}
	is, connected := noLimit, false
	for s := range e.connected() {
		is, connected = min(is, s.limit), true
	}
	e.heard = e.heard || connected
	if !connected || is == e.allows {
		return
	}
	e.quiet = now.Add(countEvery)
	words := func(limit int) string {
		if limit == noLimit {
			return "none"
		}
		return fmt.Sprint(limit)
	}
	e.note("limit", "streams that the server allows on a connection: %s→%s", words(e.allows), words(is))
	e.allows = is
}

// noteRetired says why s drains.
func (e *endpoint) noteRetired(s *slot, now time.Time) {
	what := "retired"
	if s.went.renews() {
		what = "renewed"
	}
	used := ""
	if e.cfg.IdleTimeout > 0 { // or nobody looks
		used = fmt.Sprintf(", last used %v ago", ago(s.used, now))
	}
	e.note(what, "subchannel %d leaves: %v, connected for %v%s", s.order, s.went, ago(s.since, now), used)
}

func ago(then, now time.Time) time.Duration { return now.Sub(then).Round(time.Millisecond) }

// keptDecisions is how many decisions a pool remembers.
const keptDecisions = 64

// A trace is the last decisions of a pool.
type trace struct {
	ring  [keptDecisions]inspect.Decision
	n     int    // decisions there ever were
	words string // of the last one, without the error
}

// add keeps a decision. One that is just like the last takes its place, or a server
// that is down would soon be all that is remembered. An error may differ: it has the
// port of the client in it.
func (t *trace) add(d inspect.Decision, err string) {
	words := d.What + ": " + d.Why
	if t.n > 0 && words == t.words {
		t.n--
	}
	if err != "" {
		d.Why = shortened(d.Why + ": " + err)
	}
	t.ring[t.n%keptDecisions], t.words = d, words
	t.n++
}

// decisions returns them, oldest first.
func (t *trace) decisions() []inspect.Decision {
	if t.n <= keptDecisions {
		return slices.Clone(t.ring[:t.n])
	}
	i := t.n % keptDecisions
	return slices.Concat(t.ring[i:], t.ring[:i])
}

// noteLocked logs a decision and keeps it.
func (p *pool) noteLocked(now time.Time, n note) {
	n.why = shortened(n.why)
	if n.warn {
		logger.Warningf("subpool: %s: %s", p.target, n.why)
	} else {
		logger.Infof("subpool: %s: %s", p.target, n.why)
	}
	p.trace.add(inspect.Decision{At: now, What: n.what, Why: n.why}, n.err)
}

// longest bounds a decision in words, in bytes: others write the errors in it.
const longest = 500

func shortened(why string) string {
	if len(why) <= longest {
		return why
	}
	return strings.ToValidUTF8(why[:longest], "") + "…"
}

// hearLocked keeps what the endpoints have decided.
func (p *pool) hearLocked(now time.Time) {
	for _, e := range p.endpoints {
		for _, n := range e.notes {
			n.why += " (" + nameOf(e.addr) + ")"
			p.noteLocked(now, n)
		}
		e.notes = nil
	}
}

// nameOf is what an endpoint is called in words.
func nameOf(e resolver.Endpoint) string { return strings.Join(addrsOf(e), " or ") }

func addrsOf(e resolver.Endpoint) (addrs []string) {
	for _, a := range e.Addresses {
		addrs = append(addrs, a.Addr)
	}
	return addrs
}

// noteFailureLocked keeps why RPCs will fail if no connection is left: err is why s could
// not connect to addr.
func (p *pool) noteFailureLocked(s *slot, addr resolver.Address, err error, now time.Time) {
	p.connErr = err
	p.hearLocked(now)
	n := note{what: "failed", why: "no connection to " + addr.Addr, err: fmt.Sprint(err)}
	if s.renews() {
		n.why = fmt.Sprintf("no renewal (%v): %s", s.why, n.why)
	}
	p.noteLocked(now, n)
}

// noteStateLocked says that gRPC is told another state.
func (p *pool) noteStateLocked(next *publication, now time.Time) {
	if p.published.state == next.state {
		return
	}
	p.noteLocked(now, note{
		what: "state",
		why:  fmt.Sprintf("%v→%v", p.published.state, next.state),
		err:  strings.TrimPrefix(next.err, "subpool: "+p.target+": "),
	})
}

// noteEndpointsLocked says that the resolver's answer has changed.
func (p *pool) noteEndpointsLocked(what string, endpoints []resolver.Endpoint, now time.Time) {
	if len(endpoints) == 0 {
		return
	}
	var names []string
	for _, e := range endpoints {
		names = append(names, nameOf(e))
	}
	p.noteLocked(now, note{what: "endpoints", why: what + " " + strings.Join(names, ", ")})
}
