package lifecycle

import (
	"fmt"
	"time"
)

// Kind is what a decision was about.
type Kind uint8

// The kinds of decisions, and of events that are told like them.
const (
	Grew          Kind = iota // another size is called for: more
	Shrank                    // or fewer
	Opened                    // a connection was made; without text
	Failed                    // an address could not be connected to
	AttemptFailed             // none of the addresses could; without text
	Renewed                   // a connection was retired, for a successor serves
	Retired                   // a connection was retired
	Lost                      // a connection ended
	Suspected                 // a connection answers nothing, or fails more than its siblings
	LimitChanged              // the server allows another number of streams
	Capped                    // the demand calls for more than maxSize, or does not any more
)

func (k Kind) String() string {
	return [...]string{"grew", "shrank", "opened", "failed", "attempt_failed", "renewed", "retired", "lost", "suspected", "limit", "capped"}[k]
}

// A Decision is what an endpoint decided or was told, for metrics, log and snapshot.
type Decision struct {
	Kind    Kind
	ID      ID     // of the subchannel; 0 if the decision is about the endpoint
	Reason  Reason // of Opened, AttemptFailed, Renewed, Retired, Lost, Suspected
	Count   int    // of Grew: subchannels that the demand called for
	Renewal bool   // of AttemptFailed: the attempt was to replace a connection that is still there
	Urgent  bool   // of Renewed, Retired: maxSize connections drained already
	Warn    bool   // it is for an operator to see
	Text    string // in words; empty where there is nothing to log
	Cause   string // of Failed: what gRPC or the server says
}

func (e *Endpoint) decide(d Decision) { e.next.Decisions = append(e.next.Decisions, d) }

// decideSize says why another size is called for.
func (e *Endpoint) decideSize(last, size, base int) {
	d := Decision{Kind: Grew, Count: max(0, size-base)}
	if size < last {
		d.Kind = Shrank
	}
	if !e.removed { // the shell tells of all removed endpoints in one line
		d.Text = fmt.Sprintf("%v %d→%d: %s", d.Kind, last, size, e.sizeReason(last, size, base))
	}
	e.decide(d)
}

func (e *Endpoint) sizeReason(last, size, base int) string {
	peak, limit := e.demand.window.peak(), e.perSubchannel()
	when := ""
	if e.demand.now < peak {
		when = " of late"
	}
	switch {
	case size > base:
		return fmt.Sprintf("%d in flight%s, %d per subchannel, %s", peak, when, peak/max(last, 1), limit)
	case size > last && size <= e.settings.MinSize:
		return fmt.Sprint("minSize ", e.settings.MinSize)
	case size > last:
		return "it is used"
	case last > e.settings.MaxSize:
		return fmt.Sprint("maxSize ", e.settings.MaxSize)
	case size == 0:
		return fmt.Sprint("unused for ", e.settings.IdleTimeout)
	}
	return fmt.Sprintf("at most %d in flight in the last %v, %s", peak, e.settings.IdleTimeout, limit)
}

// perSubchannel names what bounds the RPCs of one subchannel.
func (e *Endpoint) perSubchannel() string {
	if e.streamLimit.perConnection > e.settings.TargetStreams {
		return fmt.Sprint("targetStreams ", e.settings.TargetStreams)
	}
	return fmt.Sprint("limit ", e.streamLimit.perConnection)
}

// decideRetired says why s drains.
func (e *Endpoint) decideRetired(s *Subchannel, urgent bool) {
	c := s.conn
	d := Decision{Kind: Retired, ID: s.id, Reason: c.retiredFor, Urgent: urgent}
	if d.Reason.renews() {
		d.Kind = Renewed
	}
	d.Text = fmt.Sprintf("subchannel %d leaves: %v, connected for %v", s.id, d.Reason, ago(c.since, e.clock.now))
	if e.settings.IdleTimeout > 0 { // else use is not sampled
		d.Text += fmt.Sprintf(", last used %v ago", ago(c.lastUse, e.clock.now))
	}
	e.decide(d)
}

// decideFailed says that an address of s could not be connected to.
func (e *Endpoint) decideFailed(s *Subchannel, address int, cause string) {
	text := "no connection to " + e.addresses[address]
	if s.renewal() {
		text = fmt.Sprintf("no renewal (%v): %s", s.openedFor, text)
	}
	e.decide(Decision{Kind: Failed, ID: s.id, Text: text, Cause: cause})
}

func ago(then, now time.Time) time.Duration { return now.Sub(then).Round(time.Millisecond) }
