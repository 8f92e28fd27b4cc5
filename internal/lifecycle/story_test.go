package lifecycle

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A story is an endpoint and a shell without gRPC: a test says what happens, and looks at
// what the endpoint does. Draws are 0.5, and lives last exactly maxLifetime.
type story struct {
	t *testing.T
	*Endpoint
	now    time.Time
	facts  map[*Subchannel]*Facts // of the connections
	held   int                    // RPCs that wait outside
	others bool                   // other endpoints of the channel are used
	did    Plan                   // in the last step: all that was planned in it, as one Plan
	said   []Decision             // in all steps, until they are looked at

	drains bool       // what drains and carries nothing is seen to have drained
	before func()     // is called before each plan
	each   func(Plan) // and with each
}

// tell begins a story by settings as in "size=4 maxLifetime=1h".
func tell(t *testing.T, settings string) *story { return tellOf(t, settings, "a:1") }

func tellOf(t *testing.T, settings string, addresses ...string) *story {
	t.Helper()
	s := newStory(t, parseSettings(t, config.Config{}, settings), addresses...)
	s.others = true
	s.settle()
	return s
}

func newStory(t *testing.T, settings config.Config, addresses ...string) *story {
	var last ID
	return &story{
		t: t, now: start, facts: make(map[*Subchannel]*Facts), before: func() {}, each: func(Plan) {},
		Endpoint: New(settings, addresses, start, func() ID { last++; return last }, func() float64 { return 0.5 }),
	}
}

// demandOf is a step in which so many RPCs wait outside.
func (s *story) demandOf(rpcs int) {
	s.t.Helper()
	s.held = rpcs
	s.settle()
	s.held = 0
}

// settle is one step of a shell: it observes, samples, and carries out plans until there is
// nothing left to do.
func (s *story) settle() {
	for sub := range s.Subchannels() {
		s.observe(sub)
	}
	s.Sample(s.held, s.now)
	s.SetActive(s.Used() || s.others)
	s.did = Plan{}
	for s.carryOut() {
	}
}

// carryOut makes one plan. It reports whether that is followed by news.
func (s *story) carryOut() (news bool) {
	s.before()
	p := s.Plan(s.now, 1000)
	again := s.Plan(s.now, 1000)
	s.must(again.Done() && changes(again) == "", "a plan leaves nothing to plan, but %s", changes(again))
	s.must(p.Coming == again.Coming && p.Watermark == again.Watermark && p.Ended == again.Ended, "%+v is as %+v", p, again)
	s.must(again.Next.IsZero() || again.Next.After(s.now), "a deadline in the past would spin")
	if !p.Done() {
		p.Next = again.Next // a shell plans again
	}
	s.must(notBefore(again.Next, p.Next), "a plan forgets the deadline %v, and has %v", again.Next, p.Next)
	for _, c := range p.Close {
		delete(s.facts, c.Subchannel)
	}
	s.did = joined(s.did, p)
	s.said = append(s.said, p.Decisions...)
	s.each(p)
	for _, sub := range p.Drain {
		news = s.drained(sub) || news
	}
	return news
}

func (s *story) drained(sub *Subchannel) bool {
	f := s.facts[sub]
	f.Drained = f.Drained || s.drains && sub.Phase() == Draining && f.InFlight == 0
	s.Observe(sub, *f, s.now)
	return f.Drained
}

func (s *story) observe(sub *Subchannel) {
	if f := s.facts[sub]; f != nil {
		s.drained(sub)
		f.Unanswered = false
	}
}

// changes names what a plan has in it that is to be carried out or told.
func changes(p Plan) (fields string) {
	for _, field := range []struct {
		name string
		is   bool
	}{
		{"Dial ", len(p.Dial) > 0},
		{"Drain ", len(p.Drain) > 0},
		{"Connected ", len(p.Connected) > 0},
		{"Close ", len(p.Close) > 0},
		{"Decisions ", len(p.Decisions) > 0},
		{"Resolve ", p.Resolve},
		{"RequestLimits ", p.RequestLimits},
	} {
		if field.is {
			fields += field.name
		}
	}
	return fields
}

func joined(a, b Plan) Plan {
	b.RequestLimits = a.RequestLimits || b.RequestLimits
	b.Dial = slices.Concat(a.Dial, b.Dial)
	b.Drain = slices.Concat(a.Drain, b.Drain)
	b.Connected = slices.Concat(a.Connected, b.Connected)
	b.Close = slices.Concat(a.Close, b.Close)
	b.Resolve = a.Resolve || b.Resolve
	b.Decisions = slices.Concat(a.Decisions, b.Decisions)
	return b
}

// pass takes a step for what has happened, lets time pass, and takes another one.
func (s *story) pass(d time.Duration) {
	s.settle()
	then := s.now.Add(d)
	s.waits(then)
	s.now = then
	s.settle()
}

// waits checks that nothing is to be done before the deadline, nor before then.
func (s *story) waits(then time.Time) {
	if next := s.did.Next; !next.IsZero() && next.Before(then) {
		then = next
	}
	if then = then.Add(-1); !then.After(s.now) {
		return
	}
	state, did := s.State(), s.did
	p := s.Plan(then, 1000)
	after := then.Sub(s.now)
	s.must(changes(p) == "", "a deadline before %v is missing, for %s", after, changes(p))
	s.must(s.State() == state && p.Coming > 0 == (did.Coming > 0) && p.Ended == did.Ended, "before %v another picker is to be published", after)
	s.must(p.Watermark == did.Watermark && notBefore(p.Next, did.Next), "in %v the plan is %+v and was %+v", after, p, did)
}

// notBefore compares deadlines, of which one that is zero is never.
func notBefore(a, b time.Time) bool { return a.IsZero() || !b.IsZero() && !a.Before(b) }

// must is require.True, but that it costs nothing while all is well.
func (s *story) must(ok bool, format string, args ...any) {
	if !ok {
		require.FailNow(s.t, fmt.Sprintf(format, args...))
	}
}
