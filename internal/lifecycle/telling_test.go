package lifecycle

import (
	"fmt"
	"strings"
	"time"
)

// tell tells a plan, in the order in which it is carried out.
func (tr *transcript) tell(p Plan) {
	for _, d := range p.Decisions {
		switch {
		case d.Text == "":
		case d.Cause != "":
			tr.line("log: %s: %s", d.Text, d.Cause)
		default:
			tr.line("log: %s", d.Text)
		}
	}
	switch {
	case !p.RequestLimits:
	case tr.requests.limit == 0:
		tr.line("→ lift the request limit from all connections")
	default:
		tr.line("→ allow %d RPCs on %s", tr.requests.limit, names(tr.limited()))
	}
	for _, s := range tr.dials(p.Dial) {
		tr.line("→ dial %s", s)
	}
	if s := tr.publication(p); s != tr.published {
		tr.published = s
		tr.line("→ publish %s", s)
	}
	if len(p.Drain) > 0 {
		tr.line("→ drain %s", names(p.Drain))
	}
	if len(tr.addresses) > 1 && len(p.Connected) > 0 {
		tr.line("→ close the SubConns of %s to other addresses", names(p.Connected))
	}
	for _, c := range p.Close {
		if c.Forced {
			tr.line("→ force close %d", c.ID())
		} else {
			tr.line("→ close %d", c.ID())
		}
	}
	if p.Resolve {
		tr.line("→ ask the resolver")
	}
	if p.Ended {
		tr.line("→ forget the endpoint")
	}
}

// limited are the subchannels on whose connections no more RPCs may start than the server takes.
func (tr *transcript) limited() (subs []*Subchannel) {
	for sub := range tr.Subchannels() {
		if sub.InService() && sub.RequestLimit() > 0 {
			subs = append(subs, sub)
		}
	}
	return subs
}

func (tr *transcript) line(format string, args ...any) {
	tr.lines = append(tr.lines, fmt.Sprintf(format, args...))
}

// dials names what is to be dialled, those that are opened for the same reason together.
func (tr *transcript) dials(dials []Dial) (lines []string) {
	byReason := make(map[Reason][]*Subchannel)
	for _, d := range dials {
		if len(tr.addresses) > 1 {
			lines = append(lines, fmt.Sprintf("%d at %s", d.ID(), tr.addresses[d.Address]))
			continue
		}
		byReason[d.openedFor] = append(byReason[d.openedFor], d.Subchannel)
	}
	for reason := range Reasons {
		if subs := byReason[reason]; len(subs) > 0 {
			lines = append(lines, fmt.Sprintf("%s, for %v", names(subs), reason))
		}
	}
	return lines
}

// publication is the state of the endpoint with what may be picked.
func (tr *transcript) publication(p Plan) string {
	if tr.Removed() {
		return "without this endpoint"
	}
	var ready, suspects []*Subchannel
	for sub := range tr.in(Ready) {
		if sub.Suspect() {
			suspects = append(suspects, sub)
		} else {
			ready = append(ready, sub)
		}
	}
	s := tr.State().String()
	if len(ready) > 0 {
		s += " with " + names(ready)
	}
	if len(suspects) > 0 {
		s += ", and " + names(suspects) + " where no other can be picked"
	}
	if p.Coming > 0 {
		s += "; hold RPCs for which there is no room"
	}
	return s
}

func names(subs []*Subchannel) string {
	var words []string
	for i := 0; i < len(subs); i++ {
		first := i
		for i+1 < len(subs) && subs[i+1].ID() == subs[i].ID()+1 {
			i++
		}
		switch i - first {
		case 0, 1:
			for _, sub := range subs[first : i+1] {
				words = append(words, fmt.Sprint(sub.ID()))
			}
		default:
			words = append(words, fmt.Sprintf("%d-%d", subs[first].ID(), subs[i].ID()))
		}
	}
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

// tellNext tells when it is to be planned again, if that is news.
func (tr *transcript) tellNext() {
	s := "plan again"
	switch {
	case tr.did.Ended:
		return
	case tr.did.Next.IsZero() && tr.did.Watermark == 0:
		s += " only when something happens"
	case !tr.did.Next.IsZero():
		s += " at " + offset(tr.did.Next)
	}
	if n := tr.did.Watermark; n > 0 {
		if !tr.did.Next.IsZero() {
			s += ", or"
		}
		s += " when a connection carries " + rpcs("%d more RPC", n)
	}
	if s != tr.planned {
		tr.planned = s
		tr.line("%s", s)
	}
}

func rpcs(format string, n int) string {
	if n != 1 {
		format += "s"
	}
	return fmt.Sprintf(format, n)
}

// show tells what is known of each subchannel.
func (tr *transcript) show() {
	v := tr.Snapshot()
	tr.line("size %d of %d to %d, demand %d, of late %d, %d connections, %d of them draining, %d failures",
		v.Wanted, v.MinSize, v.MaxSize, v.Demand, v.Peak, v.Budget.Connections, v.Budget.Draining, tr.Failures())
	for sub := range tr.Subchannels() {
		v := tr.subchannel(sub)
		s := fmt.Sprintf("%d is %v", v.ID, strings.ReplaceAll(v.State, "_", " "))
		if v.Connected != nil {
			s += " since " + offset(*v.Connected)
		}
		s += ", opened for " + sub.openedFor.String()
		if v.Retired != "" {
			s += ", retired for " + v.Retired
		}
		if v.InFlight > 0 {
			s += ", carries " + rpcs("%d RPC", v.InFlight)
		}
		if v.EndOfLife != nil {
			s += ", ends by " + offset(*v.EndOfLife)
		}
		tr.line("%s", s)
	}
}

// offset is a time as in "1h20ms".
func offset(at time.Time) string {
	d := at.Sub(start)
	if d == 0 {
		return "0s"
	}
	whole := d.Truncate(time.Second)
	s := strings.NewReplacer("h0m0s", "h", "m0s", "m", "h0m", "h").Replace(whole.String())
	switch rest := d - whole; {
	case whole == 0:
		return rest.String()
	case rest > 0:
		return s + rest.String()
	}
	return s
}
