package lifecycle

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// An occurrence is a phrase of the transcripts. what it says happens, to each of the
// subchannels that stand before the phrase, or to the endpoint.
type occurrence struct {
	phrase *regexp.Regexp
	what   func(tr *transcript, sub *Subchannel, words []string)
}

func occurs(phrase string, what func(tr *transcript, sub *Subchannel, words []string)) occurrence {
	return occurrence{regexp.MustCompile("^" + phrase + "$"), what}
}

// fact is an occurrence that is a fact of a connection.
func fact(phrase string, what func(f *Facts, words []string)) occurrence {
	return occurs(phrase, func(tr *transcript, sub *Subchannel, words []string) {
		require.True(tr.t, sub.Connected(), "%d has no connection", sub.ID())
		what(tr.facts[sub], words)
		tr.facts[sub].RequestsUsed = sub.RequestLimit() > 0 && int(tr.facts[sub].Started) >= sub.RequestLimit()
	})
}

const flapped = "the server accepted the connection, and within a second it "

// Of a subchannel.
var occurrences = []occurrence{
	occurs(`connects?( to (\w:443))?(, health unknown)?`, func(tr *transcript, sub *Subchannel, words []string) {
		tr.up(sub, tr.address(words[2]))
		tr.facts[sub].ForceClosable = true
		if tr.facts[sub].Health = HealthServing; words[3] != "" {
			tr.facts[sub].Health, tr.facts[sub].HealthStream = HealthUnknown, true
		}
	}),
	occurs(`fails? to connect( to (\w:443))?`, func(tr *transcript, sub *Subchannel, words []string) {
		require.True(tr.t, tr.Failed(sub, tr.address(words[2]), "connection refused"))
	}),
	occurs(`leaves? backoff( from (\w:443))?`, func(tr *transcript, sub *Subchannel, words []string) {
		require.True(tr.t, tr.BackoffOver(sub, tr.address(words[2])))
	}),
	occurs(`(?:is|are) lost`, func(tr *transcript, sub *Subchannel, _ []string) {
		tr.end(sub, End{Cause: flapped + "closed it"})
	}),
	occurs(`(?:is|are) lost after a (graceful|final) GOAWAY(?: that takes (\d+) RPCs)?`, func(tr *transcript, sub *Subchannel, words []string) {
		text := "GOAWAY, code: NO_ERROR"
		tr.end(sub, End{GoAway: text, Cause: flapped + "said " + text, NoError: true, Final: words[1] == "final", Took: number(words[2])})
	}),
	occurs(`(?:is|are) lost after a GOAWAY with (\w+)`, func(tr *transcript, sub *Subchannel, words []string) {
		text := "GOAWAY, code: " + words[1]
		tr.end(sub, End{GoAway: text, Cause: flapped + "said " + text})
	}),
	fact(`carr(?:y|ies) (\d+|no) RPCs?`, func(f *Facts, words []string) { f.InFlight = number(words[1]) }),
	fact(`ha(?:s|ve) started (\d+) RPCs?`, func(f *Facts, words []string) { f.Started = uint32(number(words[1])) }),
	fact(`answers? an RPC`, func(f *Facts, _ []string) { f.Answered = true; f.Started++ }),
	fact(`ha(?:s|ve) failed (\d+) RPCs?`, func(f *Facts, words []string) { f.Failed = uint32(number(words[1])) }),
	fact(`answers? nothing`, func(f *Facts, _ []string) { f.Unanswered = true }),
	fact(`allows? (\d+|no) streams?`, func(f *Facts, words []string) { f.Limit, f.LimitStated = number(words[1]), true }),
	fact(`says? GOAWAY`, func(f *Facts, _ []string) { f.GoAway = true }),
	fact(`says? SERVING`, func(f *Facts, _ []string) { f.Health = HealthServing }),
	fact(`says? NOT_SERVING`, func(f *Facts, _ []string) { f.Health = HealthNotServing }),
	fact(`cannot be closed without gRPC`, func(f *Facts, _ []string) { f.ForceClosable = false }),
}

// Of the endpoint; there is no subchannel.
var occurrencesOfEndpoint = []occurrence{
	occurs(`(\d+|no) RPCs? waits?`, func(tr *transcript, _ *Subchannel, words []string) { tr.held = number(words[1]) }),
	occurs(`an RPC finds no connection`, func(tr *transcript, _ *Subchannel, _ []string) { tr.Wake(tr.now) }),
	occurs(`Recycle is called`, func(tr *transcript, _ *Subchannel, _ []string) { tr.Recycle() }),
	occurs(`the settings are (.*)`, func(tr *transcript, _ *Subchannel, words []string) {
		tr.SetSettings(parseSettings(tr.t, tr.settings, words[1]), tr.now)
	}),
	occurs(`the resolver (drops|lists) it`, func(tr *transcript, _ *Subchannel, words []string) { tr.SetRemoved(words[1] == "drops") }),
	occurs(`other endpoints are (used|unused)`, func(tr *transcript, _ *Subchannel, words []string) { tr.others = words[1] == "used" }),
}

// ids are the subchannels before a phrase: "1", "1 and 2", "1, 2 and 5-8".
var ids = regexp.MustCompile(`^(\d[\d, and-]*\d|\d) `)

// happens makes one event happen.
func (tr *transcript) happens(event string) {
	if event == "" {
		return
	}
	for _, o := range occurrencesOfEndpoint {
		if words := o.phrase.FindStringSubmatch(event); words != nil {
			o.what(tr, nil, words)
			return
		}
	}
	named := ids.FindString(event)
	phrase := strings.TrimPrefix(event, named)
	for _, o := range occurrences {
		if words := o.phrase.FindStringSubmatch(phrase); words != nil && named != "" {
			for _, sub := range tr.named(named) {
				o.what(tr, sub, words)
			}
			return
		}
	}
	require.Fail(tr.t, "no such event", event)
}

// named returns the subchannels with these ids.
func (tr *transcript) named(ids string) (subs []*Subchannel) {
	words := strings.FieldsFunc(strings.ReplaceAll(ids, "and", ","), func(r rune) bool { return r == ',' || r == ' ' })
	for _, word := range words {
		first, last, through := strings.Cut(word, "-")
		if !through {
			last = first
		}
		for id := number(first); id <= number(last); id++ {
			n := len(subs)
			for sub := range tr.Subchannels() {
				if sub.ID() == ID(id) {
					subs = append(subs, sub)
				}
			}
			require.Len(tr.t, subs, n+1, "there is no subchannel %d", id)
		}
	}
	return subs
}

// address returns the number of an address; that of none is 0.
func (tr *transcript) address(name string) int {
	for i, a := range tr.addresses {
		if a == name {
			return i
		}
	}
	require.Empty(tr.t, name, "no such address")
	return 0
}

func number(word string) int {
	n, _ := strconv.Atoi(word) // "no" is 0
	return n
}
