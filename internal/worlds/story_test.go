package worlds

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
)

// String is the world's story.
func (w *World) String() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	say("World %d: ", w.Seed)
	switch {
	case len(w.Servers) == 1:
		say("one server")
	case w.Apart:
		say("%d servers with an address each", len(w.Servers))
	default:
		say("%d servers behind one address, dealt %s", len(w.Servers), either(w.Random, "by chance", "in turn"))
		say("%s", either(w.Skips, ", those that are down skipped", ""))
	}
	say("; one way takes %v, a dial %v.", w.Latency, w.Dial)
	for i, s := range w.Servers {
		if habits := s.story(); habits != "" {
			say(" Server %d %s.", i, habits)
		}
	}
	if w.Churn > 0 {
		say(" Every %v the resolver drops another one, and lists the last one again.", w.Churn)
	}
	if w.Health {
		say(" The clients check health.")
	}
	if w.Keepalive > 0 {
		say(" The clients ping after %v.", w.Keepalive)
	}
	say(" After %v of rest", 2*w.handshake()+w.Warm)
	for i, c := range w.Callers {
		say("%s %s", either(i > 0, ", and", ","), c.story())
	}
	say(".")
	for _, e := range w.Events {
		say(" %s.", e.story())
	}
	say(" The pool's setting is %s.", w.Setting)
	return b.String()
}

func either(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func (s Server) story() string {
	var all []string
	say := func(is bool, format string, args ...any) {
		if is {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	say(s.Cap > 0, "takes %d RPCs on a connection", s.Cap)
	say(s.Age > 0, "ends a connection at the age of %v ± 10 %% by %v", s.Age, s.Ending)
	say(s.Idle > 0, "ends a connection that is idle for %v by %v", s.Idle, s.Ending)
	say(s.Limit.Streams > 0, "%s", s.Limit.story())
	say(s.Slow > 0, "takes %v longer", s.Slow)
	say(s.Fails != codes.OK, "answers %v to all", s.Fails)
	say(s.Few > 0, "closes a connection after %d answers", s.Few)
	say(s.Mute > 0, "answers but %d health checks", s.Mute)
	say(s.EndsWatch > 0, "ends the health checking %d times on each connection", s.EndsWatch)
	say(s.RefusesLate, "refuses streams that come after its GOAWAY one by one")
	return strings.Join(all, ", ")
}

func (l Limit) story() string {
	s := fmt.Sprintf("allows %d streams", l.Streams)
	if l.Late {
		s += ", and says so after the first RPC"
	}
	if l.Then != 0 {
		s += fmt.Sprintf(", after %v %d", l.After, max(0, l.Then))
	}
	if l.Back > 0 {
		s += fmt.Sprintf(", and %v later as before", l.Back)
	}
	return s
}

func (e Event) story() string {
	server := fmt.Sprintf("server %d", e.Server)
	if e.Server < 0 {
		server = "every server"
	}
	what := ""
	switch e.What {
	case End:
		what = fmt.Sprintf("%s ends all connections by %v", server, e.Ending)
	case EndOne:
		what = fmt.Sprintf("%s ends its youngest connection by %v", server, e.Ending)
	case Restart:
		what = fmt.Sprintf("%s ends all connections by %v and refuses dials for %v", server, e.Ending, e.For)
	case Flap:
		what = fmt.Sprintf("%s accepts and closes for %v", server, e.For)
	case Refuse:
		what = fmt.Sprintf("%s refuses dials for %v", server, e.For)
	case Hang:
		what = fmt.Sprintf("dials to %s hang for %v", server, e.For)
	case SetLimit:
		what = fmt.Sprintf("%s allows %d streams", server, e.Limit)
	case Darken:
		what = fmt.Sprintf("the youngest connection of %s goes dark", server)
	case RefuseStream:
		what = fmt.Sprintf("%s refuses the newest stream of its youngest connection, and ends it", server)
	}
	return fmt.Sprintf("At %v %s", e.At, what)
}

func (c *Callers) story() string {
	var b strings.Builder
	say := func(is bool, format string, args ...any) {
		if is {
			fmt.Fprintf(&b, format, args...)
		}
	}
	say(c.Rate > 0, "from %v on for %v there come %v RPC/s", c.From, c.For, c.Rate)
	say(c.Burst > 1, ", %d at a time", c.Burst)
	say(c.Loop > 0, "from %v on for %v %d callers call, with pauses of %v", c.From, c.For, c.Loop, c.Pause)
	say(c.Takes > 0, ", each takes %v ± 50 %%", c.Takes)
	say(c.Deadline > 0, ", the deadline is %v", c.Deadline)
	say(c.ShortOneIn > 0, ", of one in %d %v", c.ShortOneIn, c.Short)
	say(c.FailOneIn > 0, ", one in %d has no credentials", c.FailOneIn)
	say(c.SlowOneIn > 0, ", one in %d has credentials that take %v", c.SlowOneIn, c.Creds)
	say(c.CodeOneIn > 0, ", one in %d is answered %v", c.CodeOneIn, c.Code)
	say(c.Wait, ", they wait for ready")
	say(c.Streams > 0, " %d streams are open from %v on for %v", c.Streams, c.From, c.For)
	say(c.Leaked > 0, " %d streams are leaked", c.Leaked)
	return b.String()
}
