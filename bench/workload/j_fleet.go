package workload

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/grpc-subpool/subpool/bench/result"
)

var fleet = Kind{
	Key:   "j",
	Title: "A fleet behind an L4 balancer",
	About: "A simulation in virtual time, by the formula of a life and nothing else: 10,000 clients with four connections each begin within ten seconds, behind an L4 balancer that gives each new connection to a backend at random. " +
		"After 121 minutes, when all that have no jitter have just been replaced, it scales out from 10 backends to 20. Imbalance is the connections of the busiest backend against the mean. " +
		"Dials are those of the whole fleet, in the second that had most and on average over three hours, from a minute after the start on.",
	run: runFleet,
}

const (
	scaleOut  = 121 * time.Minute
	fleetEnds = scaleOut + 90*time.Minute
)

func runFleet(r *Run, w *result.Workload) error {
	imbalance := &result.Table{
		Name: "imbalance", RowName: "minutes since it scaled out",
		Metrics: []result.Metric{{Name: "imbalance", Unit: "busiest ÷ mean", Lower: true}},
		Plots:   []result.Plot{{Metric: "imbalance", Title: "40,000 connections, 10 backends become 20", Lines: true}},
	}
	dials := &result.Table{
		Name: "dials", RowName: "maxLifetime",
		Metrics: []result.Metric{{Name: "most dials", Unit: "in a second", Lower: true}, {Name: "mean dials", Unit: "a second", Lower: true},
			{Name: "balanced after", Unit: "minutes, to 1.1 × the mean", Lower: true}},
		Plots: []result.Plot{{Metric: "most dials", Title: "Renewals of 40,000 connections that began together"}},
	}
	w.Tables = append(w.Tables, imbalance, dials)
	for _, life := range []time.Duration{0, 10 * time.Minute, 30 * time.Minute, time.Hour} {
		for _, jitter := range []float64{0, 0.1, 0.25, 0.5, 1} {
			if life == 0 && jitter != 0 {
				continue
			}
			for seed := range r.slices(3) {
				f := simulation{clients: 10_000, size: 4, before: 10, after: 20, maxLifetime: life, jitter: jitter}
				tell(f.run(rand.New(rand.NewPCG(1, uint64(seed)))), f, imbalance, dials)
			}
			r.Progress(fmt.Sprintf("fleet: maxLifetime %v, jitter %v", life, jitter), false)
		}
	}
	for _, row := range imbalance.Rows {
		r.Progress(imbalance.Line(row), true)
	}
	for _, row := range dials.Rows {
		r.Progress(dials.Line(row), true)
	}
	return nil
}

// tell puts an outcome into the tables. The curve is shown for jitters of 0 and 0.25.
func tell(o outcome, f simulation, imbalance, dials *result.Table) {
	column := "never"
	if f.maxLifetime > 0 {
		life, jitter := fmt.Sprintf("%v min", f.maxLifetime.Minutes()), fmt.Sprintf("jitter %v", f.jitter)
		dials.Add(life, jitter, o.dials())
		column = life + ", " + jitter
	}
	if f.jitter != 0 && f.jitter != 0.25 {
		return
	}
	for _, minute := range []int{0, 5, 10, 15, 20, 30, 45, 60, 75} {
		imbalance.Add(strconv.Itoa(minute), column, values{"imbalance": o.imbalance[minute]})
	}
}

func (o outcome) dials() values {
	v := values{"most dials": float64(o.most), "mean dials": o.mean}
	for minute, i := range o.imbalance {
		if i <= 1.1 {
			v["balanced after"] = float64(minute)
			break
		}
	}
	return v
}
