package workload

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grpc-subpool/subpool/bench/result"
)

var scale = Kind{
	Key:   "k",
	Title: "Large pools",
	About: "Processor time of the policy alone, in a channel without sockets, where a connection comes within 50 ms of being asked for. " +
		"E × S are E endpoints with S subchannels each; gRPC's round_robin has an endpoint for each subchannel. " +
		"A start lasts until all are READY and nothing has happened for 100 ms, a change until nothing has for 20 ms; changes come one at a time, and what it takes to look at a pool that does not change is taken off. " +
		"An event is that a connection is lost and comes again. Of small pools there are 300, that start together and lose a connection each together. " +
		"At rest nothing is used: with an idleTimeout of 240 s that jitter shortens to anything down to 0, connections are renewed from the first second on as often as they are in a pool that began long ago. " +
		"In the churn 1 % of the endpoints are exchanged each second, and all that it takes counts as part of these seconds, which may come to more than a core. " +
		"Over sockets the time is that of a whole channel with four connections to each endpoint, or one, which are all one server in a process of its own: from Connect until all are READY and nothing has happened for 200 ms. " +
		"Memory is what a policy keeps on the heap for a subchannel, and where there are none for an endpoint, beyond what the same SubConns take that nobody uses.",
	run: runScale,
}

// noneDue are settings with which nothing comes to its end within a run.
const noneDue = `"idleTimeout":"24h","maxLifetime":"24h"`

// renewing are those of which 2,000 connections are renewed ten times a second: lives are
// drawn from 0 s to four fifths of 240 s, so that it begins at once.
const renewing = `"idleTimeout":"240s","lifetimeJitter":1,"maxLifetime":"0s"`

// A scaling is a run of it.
type scaling struct {
	*Run
	w    *result.Workload
	late []string
}

// scaleParts are what can be measured alone.
var scaleParts = []struct {
	name    string
	measure func(*scaling) error
}{
	{"start", (*scaling).starts},
	{"change", (*scaling).changes},
	{"rest", (*scaling).rests},
	{"large", (*scaling).largeEndpoint},
	{"small", (*scaling).smallPools},
	{"churn", (*scaling).churn},
	{"sockets", (*scaling).sockets},
	{"memory", (*scaling).memory},
}

func runScale(r *Run, w *result.Workload) error {
	var names []string
	for _, part := range scaleParts {
		names = append(names, part.name)
	}
	if r.Part != "" && !slices.Contains(names, r.Part) {
		return fmt.Errorf("part: %q, must be one of %q", r.Part, names)
	}
	k := &scaling{Run: r, w: w}
	for _, part := range scaleParts {
		if r.Part != "" && r.Part != part.name {
			continue
		}
		if err := part.measure(k); err != nil {
			return err
		}
	}
	if k.late != nil {
		w.About += " " + lateOnes(k.late...)
	}
	return nil
}

// fewer is how many of something there are.
func (k *scaling) fewer(n int) int {
	if k.Quick > 0 {
		return max(1, n/25)
	}
	return n
}

func (k *scaling) table(name, row string, metrics ...result.Metric) *result.Table {
	t := &result.Table{Name: name, RowName: row, Base: roundRobin, Metrics: metrics}
	k.w.Tables = append(k.w.Tables, t)
	return t
}

// cpu is a metric of processor time.
func cpu(name, unit string) result.Metric { return result.Metric{Name: name, Unit: unit, Lower: true} }

// side is one that may be too slow to be measured again, or at all.
func (k *scaling) side(t *result.Table, row, name string, measure func() (values, error)) side {
	slow := false
	return side{row, name, func(int) (values, error) {
		if slow {
			return nil, nil
		}
		began := time.Now()
		v, err := measure()
		slow = time.Since(began) > patience/6
		if errors.Is(err, errLate) {
			slow = true
			k.late = append(k.late, fmt.Sprintf("%s, %s %s, %s: %v", t.Name, t.RowName, row, name, err))
			k.Progress(lateOnes(k.late[len(k.late)-1:]...), true)
			return nil, nil
		}
		return v, err
	}}
}

// both measures gRPC's policy and ours.
func (k *scaling) both(t *result.Table, row string, n int, measure func(policy string) (values, error)) error {
	var sides []side
	for _, policy := range []string{roundRobin, ours} {
		sides = append(sides, k.side(t, row, policy, func() (values, error) { return measure(policy) }))
	}
	return k.alternate(t, n, sides...)
}

// tell says what ours comes to beside gRPC's policy.
func (k *scaling) tell(t *result.Table, row, metric string) {
	claim := fmt.Sprintf("%s, %s %s: %s, against %s", t.Name, t.RowName, row, metric, roundRobin)
	k.w.Verdicts = append(k.w.Verdicts, result.Told(claim, t.Ratio(row, ours, roundRobin, metric), " ×"))
}
