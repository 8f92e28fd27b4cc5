package incidents

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"
)

// scrapeInterval is Prometheus's own.
const scrapeInterval = 15 * time.Second

// scrapes are samples of each series in turn, in promqltest's notation.
type scrapes struct {
	n      int
	series map[string][]string
}

// every scrapes until stop is called.
func (s *scrapes) every(t *testing.T, from prometheus.Gatherer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			families, err := from.Gather()
			if err != nil {
				t.Error(err)
				return
			}
			for _, f := range families {
				for _, m := range f.GetMetric() {
					s.addMetric(f, m)
				}
			}
			s.n++
			select {
			case <-ctx.Done():
			case <-time.After(scrapeInterval):
			}
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func (s *scrapes) addMetric(f *dto.MetricFamily, m *dto.Metric) {
	labels := []string{`job="j"`, `instance="i"`}
	for _, l := range m.GetLabel() {
		labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	name := f.GetName()
	switch {
	case m.GetHistogram() != nil:
		h := m.GetHistogram()
		for _, b := range h.GetBucket() {
			s.add(name+"_bucket", append(slices.Clone(labels), fmt.Sprintf(`le="%v"`, b.GetUpperBound())), float64(b.GetCumulativeCount()))
		}
		s.add(name+"_count", labels, float64(h.GetSampleCount()))
		s.add(name+"_sum", labels, h.GetSampleSum())
	case m.GetCounter() != nil:
		s.add(name, labels, m.GetCounter().GetValue())
	default:
		s.add(name, labels, m.GetGauge().GetValue())
	}
}

func (s *scrapes) add(name string, labels []string, value float64) {
	if s.series == nil {
		s.series = make(map[string][]string)
	}
	key := name + "{" + strings.Join(labels, ",") + "}"
	for len(s.series[key]) < s.n {
		s.series[key] = append(s.series[key], "_")
	}
	s.series[key] = append(s.series[key], fmt.Sprint(value))
}

// query is what Prometheus answers at the last scrape, to each expression.
func (s *scrapes) query(t *testing.T, expressions []string) (answers []promql.Vector) {
	var text strings.Builder
	fmt.Fprintf(&text, "load %v\n", scrapeInterval)
	for _, key := range slices.Sorted(maps.Keys(s.series)) {
		fmt.Fprintf(&text, "  %s %s\n", key, strings.Join(s.series[key], " "))
	}
	storage := promqltest.LoadedStorage(t, text.String())
	engine := promqltest.NewTestEngine(t, false, 0, 100_000)
	at := time.Unix(0, 0).Add(time.Duration(s.n-1) * scrapeInterval)
	for _, expression := range expressions {
		q, err := engine.NewInstantQuery(t.Context(), storage, promql.NewPrometheusQueryOpts(false, 0), expression, at)
		require.NoError(t, err, expression)
		vector, err := q.Exec(t.Context()).Vector()
		require.NoError(t, err, expression)
		answers = append(answers, slices.Clone(vector))
		q.Close()
	}
	return answers
}
