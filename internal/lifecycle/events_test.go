package lifecycle

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
)

// all applies an event to every subchannel in that phase.
func (s *story) all(p Phase, event func(*Subchannel)) {
	s.t.Helper()
	for _, sub := range s.those(p) {
		event(sub)
	}
	s.settle()
}

func (s *story) connect() { s.t.Helper(); s.all(Connecting, s.rise) }
func (s *story) refuse()  { s.t.Helper(); s.all(Connecting, s.fail) }
func (s *story) endBackoff() {
	s.t.Helper()
	s.all(Backoff, func(sub *Subchannel) { s.BackoffOver(sub, 0) })
}
func (s *story) cut() { s.t.Helper(); s.all(Ready, func(sub *Subchannel) { s.lose(sub) }) }
func (s *story) finish() {
	s.t.Helper()
	s.all(Draining, func(sub *Subchannel) { s.facts[sub].Drained = true })
}

func (s *story) fail(sub *Subchannel) { s.Failed(sub, 0, "connection refused") }

// up connects a subchannel to a server whose health is not known.
func (s *story) up(sub *Subchannel, address int) {
	s.t.Helper()
	require.True(s.t, s.Connected(sub, address, s.now))
	s.facts[sub] = &Facts{Limit: NoLimit}
}

// rise connects it to a server that is well.
func (s *story) rise(sub *Subchannel) {
	s.t.Helper()
	s.up(sub, 0)
	s.health(sub, HealthServing)
}

func (s *story) health(sub *Subchannel, h Health) {
	s.facts[sub].Health = h
	s.observe(sub)
}

func (s *story) lose(sub *Subchannel) (flapped bool) { return s.end(sub, End{Cause: "closed"}) }

func (s *story) end(sub *Subchannel, end End) (flapped bool) {
	if f := s.facts[sub]; f != nil {
		end.InFlight, end.Answered = f.InFlight, f.Answered
	}
	end.Alone = !s.others
	flapped = s.Lost(sub, sub.Address(), end, s.now)
	if !sub.Connected() {
		delete(s.facts, sub)
	}
	return flapped
}

// allow says how many streams the server allows.
func (s *story) allow(sub *Subchannel, streams int) {
	s.facts[sub].Limit, s.facts[sub].LimitStated = streams, true
	s.observe(sub)
}

// ignored says that a connection has answered nothing for long enough, and reports whether
// it is suspected for that.
func (s *story) ignored(sub *Subchannel) bool {
	before := sub.Suspect()
	s.facts[sub].Unanswered = true
	s.observe(sub)
	return sub.Suspect() && !before
}

func (s *story) those(p Phase) (found []*Subchannel) {
	for sub := range s.Subchannels() {
		if sub.Phase() == p {
			found = append(found, sub)
		}
	}
	return found
}

// want requires that n subchannels are in this phase.
func (s *story) want(p Phase, n int) { s.t.Helper(); require.Len(s.t, s.those(p), n, "%v", p) }

func (s *story) wantState(state State, why ...any) {
	s.t.Helper()
	require.Equal(s.t, state.String(), s.State().String(), why...)
}

// tally counts the decisions since it was last asked, as in "retired shrink".
func (s *story) tally() map[string]int {
	n := make(map[string]int)
	for _, d := range s.said {
		n[d.Kind.String()+" "+d.Reason.String()]++
	}
	s.said = nil
	return n
}

// words returns the texts of the decisions since it was last asked.
func (s *story) words() (texts []string) {
	for _, d := range s.said {
		if d.Text != "" {
			texts = append(texts, d.Text)
		}
	}
	s.said = nil
	return texts
}

// parseSettings reads "size=4 maxLifetime=1h". What is not named stays as in s, and in empty
// settings is the default of package config for numbers, and off for times.
func parseSettings(t *testing.T, s config.Config, text string) config.Config {
	t.Helper()
	if s == (config.Config{}) {
		s = config.Config{MinSize: 1, MaxSize: 4, TargetStreams: 100}
	}
	durations := map[string]*time.Duration{
		"idleTimeout": &s.IdleTimeout, "maxLifetime": &s.MaxLifetime,
		"drainTimeout": &s.DrainTimeout, "unresponsiveTimeout": &s.UnresponsiveTimeout, "outlierInterval": &s.OutlierInterval,
	}
	numbers := map[string][]*int{
		"size": {&s.MinSize, &s.MaxSize}, "minSize": {&s.MinSize}, "maxSize": {&s.MaxSize}, "targetStreams": {&s.TargetStreams},
	}
	for word := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(word, "=")
		var err error
		switch {
		case durations[name] != nil:
			*durations[name], err = time.ParseDuration(value)
		case numbers[name] != nil:
			for _, n := range numbers[name] {
				*n, err = strconv.Atoi(value)
			}
		case name == "lifetimeJitter":
			s.LifetimeJitter, err = strconv.ParseFloat(value, 64)
		default:
			require.Fail(t, "no such setting", name)
		}
		require.NoError(t, err)
	}
	s.MaxSize = max(s.MaxSize, s.MinSize)
	return s
}
