package soak

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An rpc is one RPC, and all that is needed to judge how it ended.
type rpc struct {
	kind
	*channel
	begin, end time.Time
	deadline   time.Time
	err        error

	credentials time.Duration // how long it takes to fetch them

	mu        sync.Mutex
	cancelled time.Time // zero if the test did not
	attempts  []attempt
}

type rpcKey struct{}

// An attempt is one link that an RPC was given.
type attempt struct {
	*link
	at time.Time
}

func (r *rpc) attempt(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts = append(r.attempts, attempt{l, time.Now()})
}

// last returns the RPC's last link, and the earliest time at which it may have been
// picked: it is known to gRPC a moment before it is noted.
func (r *rpc) last() (l *link, picked, noted time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.attempts)
	if n == 0 {
		return nil, r.begin, r.begin
	}
	picked = r.begin
	if n > 1 {
		picked = r.attempts[n-2].at
	}
	return r.attempts[n-1].link, picked, r.attempts[n-1].at
}

// A verdict is why an RPC ended as it did, by the model.
type verdict string

// What the model allows. The test itself is the cause of each.
const (
	outside       verdict = ""
	succeeded     verdict = "succeeded"
	onBroken      verdict = "on a connection that was broken"
	inBlackHole   verdict = "deadline in a black hole"
	asPlanned     verdict = "deadline as planned"
	shortDeadline verdict = "short deadline"
	cancelled     verdict = "cancelled"
	noneReady     verdict = "all connections broken"
	refused       verdict = "beyond maxPending"
	forceClosed   verdict = "closed by force after drainTimeout"
)

const (
	afterlife = 5 * time.Second  // in which gRPC and the pool notice that a link is broken
	outlives  = 10 * time.Second // past its deadline: only what hangs does that

	ofPicker  = "subpool: " // begins what the policy says, not the transport
	ofPending = "subpool: maxPending: "
)

// judge tells why an RPC ended as it did; outside if the test is not the cause, and
// then what is wrong with it.
func judge(r *rpc, sanctuary *backend) (verdict, string) {
	if r.end.After(r.deadline.Add(outlives)) {
		return outside, "it outlived its deadline"
	}
	code, message := status.Code(r.err), status.Convert(r.err).Message()
	switch {
	case code == codes.OK && r.kind == doomed:
		return outside, "such an RPC is not answered"
	case code == codes.OK:
		return succeeded, ""
	case code == codes.Canceled:
		return judgeCancelled(r)
	case code == codes.DeadlineExceeded:
		return judgeDeadline(r)
	case code == codes.ResourceExhausted && strings.HasPrefix(message, ofPending):
		return judgeRefused(r, message, sanctuary)
	case code == codes.Unavailable && strings.HasPrefix(message, ofPicker):
		return judgeNoneReady(r)
	case code == codes.Unavailable:
		return judgeLost(r)
	}
	return outside, "no fault of the test ends an RPC like this"
}

func judgeCancelled(r *rpc) (verdict, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancelled.IsZero() {
		return outside, "the test did not cancel it"
	}
	return cancelled, ""
}

// judgeDeadline is strict with the RPCs that have a long deadline, which are nearly
// all: no fault lasts so long, so one that ends there hung. Those with a short one
// (they are there for unresponsiveTimeout) may find the machine too slow, or a limit
// of 0 too long, on a sound connection; what would make them hang makes those with
// a long one hang too.
func judgeDeadline(r *rpc) (verdict, string) {
	l, _, _ := r.last()
	switch {
	case r.end.Before(r.deadline):
		return outside, "its deadline had not come"
	case r.kind == doomed:
		return asPlanned, ""
	case r.kind != hasty:
		return outside, "it hung: no fault lasts that long"
	case l != nil && !l.darkened().IsZero():
		return inBlackHole, ""
	}
	return shortDeadline, ""
}

// judgeRefused wants settings with that very bound in force, and every connection
// full: so there must have been a limit on the sanctuary, or an outage.
func judgeRefused(r *rpc, message string, sanctuary *backend) (verdict, string) {
	bound := false
	for _, s := range r.during(r.begin, r.end) {
		bound = bound || strings.HasPrefix(message, fmt.Sprintf("%s%d,", ofPending, s.MaxPending))
	}
	switch {
	case !bound:
		return outside, "no such maxPending was in force"
	case !sanctuary.limited(r.begin, r.end) && !r.out(r.begin, r.end):
		return outside, "the sanctuary had no stream limit: not every connection was full"
	}
	return refused, ""
}

// judgeNoneReady knows of the sanctuary, which the test breaks in an outage only, and
// which is READY again when that ends.
func judgeNoneReady(r *rpc) (verdict, string) {
	switch {
	case r.kind == patient:
		return outside, "it waits for ready"
	case !r.out(r.begin, r.end):
		return outside, "the sanctuary was never broken: a connection was READY"
	}
	return noneReady, ""
}

// judgeLost wants to know what broke the link. An RPC may still be given one that is
// broken, until that is known; not seconds later.
func judgeLost(r *rpc) (verdict, string) {
	l, picked, noted := r.last()
	if l == nil {
		return outside, "it had no connection"
	}
	complaint := "the test did not break its connection"
	for _, h := range l.harms() {
		switch {
		case noted.After(h.at.Add(afterlife)):
			complaint = "it was sent to a connection long broken"
		case h.at.Before(r.end):
			return onBroken, ""
		}
	}
	// An RPC whose connection was closed by force was picked before that was retired.
	for _, s := range r.during(picked, r.end) {
		if s.DrainTimeout > 0 && r.end.Sub(picked) >= s.DrainTimeout {
			return forceClosed, ""
		}
	}
	return outside, complaint
}

func (l *link) harms() []harm       { l.mu.Lock(); defer l.mu.Unlock(); return slices.Clone(l.breaks) }
func (l *link) darkened() time.Time { l.mu.Lock(); defer l.mu.Unlock(); return l.darkAt }

// limited reports whether the test gave the server a stream limit at any time between
// two instants.
func (b *backend) limited(from, to time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.limits {
		if s.touches(from, to) {
			return true
		}
	}
	return false
}

func (r *rpc) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var s strings.Builder
	fmt.Fprintf(&s, "%v RPC on %s, begun %s, ended %s, deadline %s, cancelled %s: %v\n",
		r.kind, r.name, clock(r.begin), clock(r.end), clock(r.deadline), clock(r.cancelled), r.err)
	for _, a := range r.attempts {
		fmt.Fprintf(&s, "\tgiven at %s: %v\n", clock(a.at), a.link)
	}
	for _, st := range r.during(r.begin, r.end) {
		fmt.Fprintf(&s, "\tsettings from %s: %s, health checking %v\n", clock(st.from), st.ServiceConfig(), st.health)
	}
	return s.String()
}
