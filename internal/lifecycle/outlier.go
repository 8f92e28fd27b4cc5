package lifecycle

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// What it takes to call a connection an outlier. gRFC A50 asks the same of an address: a
// request volume, and a percentage of failures; but the percentage is measured against that of
// the siblings, for a server that fails everywhere is no connection's fault.
const (
	outlierVolume   = 5   // RPCs that ended on it
	siblingVolume   = 10  // and on the others
	outlierDistance = 0.1 // how much higher its share of failures is than theirs
	outlierFactor   = 2   // and how many times as high
	// outlierEvidence is the natural logarithm of how improbable so many failures are if it is
	// as good as they are, by Chernoff's bound: one in 1.2 million. Eight connections that are
	// compared each 10 s so meet a wrong verdict in 17 days of failures without pause.
	outlierEvidence = 14
	// redraws is how many successors of an outlier in a row may be judged at once. Behind a
	// balancer of which half the servers are bad, one in 8 pools has not found a good one then.
	redraws = 3
	// outlierLooks is how often in an interval successors of an outlier are judged.
	outlierLooks = 4
)

// outliers is the comparison of the connections of an endpoint, interval by interval, while any
// RPC fails.
type outliers struct {
	began  time.Time // of the interval; zero while none is needed
	looked time.Time // at the successors of an outlier
	drawn  int       // successors that were outliers, in a row
}

// A record is the RPCs of a connection.
type record struct {
	started, ended, failed uint32 // modulo 2³²
	last                   uint32 // failed when the present interval began; failed may be of an earlier one
}

func (c *connection) record() record {
	return record{started: c.facts.Started, ended: c.facts.Started - uint32(c.facts.InFlight), failed: c.facts.Failed, last: c.facts.Failed}
}

// since returns what came to r since old. RPCs that had started before do not count: a connection
// with long streams, which end well, gets none of the short ones of a method that fails, and they
// say nothing of it. A start that was taken back may make it less.
func (r record) since(old record) (ended, failed int) {
	ended = max(0, min(int(int32(r.ended-old.ended)), int(int32(r.started-old.started))))
	return ended, max(0, min(ended, int(int32(r.failed-old.failed))))
}

// findOutlier suspects a connection that failed far more of its RPCs in the last interval than
// its siblings did.
func (e *Endpoint) findOutlier() {
	x, every := &e.suspicion.outliers, e.settings.OutlierInterval
	if every == 0 || e.removed {
		x.began = time.Time{}
		return
	}
	if x.began.IsZero() {
		if e.fails() {
			e.beginInterval(false)
		}
		return
	}
	if e.clock.reached(x.began.Add(every)) {
		e.judge(func(s *Subchannel) bool { return e.redraws(s) || !e.clock.now.Before(e.suspicion.next) })
		if x.began = (time.Time{}); e.fails() {
			e.beginInterval(true)
		}
		return
	}
	if e.clock.reached(x.looked.Add(every / outlierLooks)) {
		x.looked = e.clock.now
		e.judge(e.redraws)
		e.clock.reached(x.looked.Add(every / outlierLooks))
	}
}

// fails reports whether any RPC failed since the interval began; without one, since the last.
func (e *Endpoint) fails() (fails bool) {
	for s := range e.inService() {
		fails = fails || s.conn.facts.Failed != s.conn.judged.last
	}
	return fails
}

// beginInterval begins to count. Where it goes on from the last interval, connections that fail,
// but carry too few RPCs for a verdict, are counted on.
func (e *Endpoint) beginInterval(goesOn bool) {
	x := &e.suspicion.outliers
	x.began, x.looked = e.clock.now, e.clock.now
	for s := range e.inService() {
		c := s.conn
		if n, failed := c.record().since(c.judged); goesOn && failed > 0 && n < outlierVolume {
			c.judged.last = c.facts.Failed
		} else {
			c.judged = c.record()
		}
	}
	e.clock.reached(x.began.Add(e.settings.OutlierInterval))
	e.clock.reached(x.looked.Add(e.settings.OutlierInterval / outlierLooks))
}

// judge suspects the worst of the READY connections that may be judged, if it is an outlier.
func (e *Endpoint) judge(may func(*Subchannel) bool) {
	var ended, failed int
	for s := range e.in(Ready) {
		n, f := s.conn.record().since(s.conn.judged)
		ended, failed = ended+n, failed+f
	}
	var worst *Subchannel
	most, did := 0.0, ""
	for s := range e.in(Ready) {
		n, f := s.conn.record().since(s.conn.judged)
		if d := evidence(n, f, ended-n, failed-f); d > most && may(s) {
			worst, most = s, d
			did = fmt.Sprintf("failed %d of %d RPCs, its siblings %d of %d", f, n, failed-f, ended-n)
		}
	}
	if worst == nil {
		return
	}
	x := &e.suspicion.outliers
	if !e.redraws(worst) {
		x.drawn = 0
		e.suspect(worst, ReasonOutlier, did, e.clock.now)
		return
	}
	if x.drawn++; x.drawn == redraws {
		did += fmt.Sprintf(", the %d before it were as bad", redraws)
	}
	if !slices.ContainsFunc(e.subchannels, (*Subchannel).Suspect) {
		e.replaceSuspect(worst, ReasonOutlier, did)
	}
}

// redraws reports whether s, if it is an outlier, is one more draw of the same suspicion.
func (e *Endpoint) redraws(s *Subchannel) bool {
	return s.openedFor == ReasonOutlier && e.suspicion.outliers.drawn < redraws
}

// evidence returns the logarithm of how improbable it is that a connection with the others'
// share of failures fails so many; 0 if that is not enough.
func evidence(ended, failed, othersEnded, othersFailed int) float64 {
	if ended < outlierVolume || othersEnded < siblingVolume {
		return 0
	}
	own := min(1, float64(failed)/float64(ended))
	others := float64(othersFailed+1) / float64(othersEnded+2) // never none: they may yet fail
	if own < others+outlierDistance || own < others*outlierFactor {
		return 0
	}
	divergence := own * math.Log(own/others)
	if own < 1 {
		divergence += (1 - own) * math.Log((1-own)/(1-others))
	}
	if d := float64(ended) * divergence; d > outlierEvidence {
		return d
	}
	return 0
}
