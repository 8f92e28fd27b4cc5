package balancer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/experimental/stats"

	"github.com/grpc-subpool/subpool/inspect"
)

// said returns what the endpoint has decided since it was last asked.
func (s *story) said() (whys []string) {
	for _, n := range s.notes {
		whys = append(whys, n.what+": "+n.why)
	}
	s.notes = nil
	return whys
}

func TestWhatAnEndpointDecidesItSaysInWords(t *testing.T) {
	s := tell(t, `{"minSize":2,"maxSize":8,"targetStreams":100,"idleTimeout":"16s","maxLifetime":"1h","unresponsiveTimeout":"1s"}`)
	require.Equal(t, []string{"grew: grew 0→2: minSize 2"}, s.said())
	s.connect()
	s.sample(s.now, 330, quiet)
	s.settle()
	require.Equal(t, []string{"grew: grew 2→5: 330 in flight, 165 per subchannel, targetStreams 100"}, s.said())
	s.connect()
	for _, sl := range s.slots {
		sl.allow(50, true, false)
	}
	s.learn(s.now)
	s.settle()
	require.Equal(t, []string{
		"limit: streams that the server allows on a connection: none→50",
		"grew: grew 5→8: 330 in flight, 66 per subchannel, limit 50",
	}, s.said())
	s.connect()
	for range 18 {
		s.sample(s.now.Add(time.Second), 120, quiet)
		s.pass(time.Second)
	}
	said := s.said()
	require.Equal(t, "shrank: shrank 8→3: at most 120 in flight in the last 16s, limit 50", said[0])
	require.Len(t, said, 1+5)
	require.Regexp(t, `^retired: subchannel \d leaves: shrink, connected for 1[78]s, last used 1[78]s ago$`, said[1])

	s.suspect(s.slots[0], s.now)
	require.Regexp(t, `^suspected: subchannel \d has answered nothing for 1s, and is replaced$`, s.said()[0])
	s.settle()
	s.connect()
	require.Regexp(t, `^renewed: subchannel \d leaves: unresponsive, connected for 1\ds, last used 1\ds ago$`, s.said()[0])
	s.lost(s.slots[0], 0, s.now)
	require.Regexp(t, `^lost: subchannel \d lost its connection, after 18s$`, s.said()[0])
	s.settle()

	cfg := *s.cfg
	cfg.MinSize, cfg.MaxSize = 1, 1
	s.adopt(&cfg, s.now)
	s.settle()
	require.Equal(t, "shrank: shrank 3→1: maxSize 1", s.said()[0])
	cfg.MinSize = 0
	s.awake = false
	s.window, s.kept = window{}, window{}
	s.settle()
	require.Equal(t, "shrank: shrank 1→0: nobody used it for 16s", s.said()[0])
	s.awake = true
	s.settle()
	require.Equal(t, "grew: grew 0→1: somebody uses it", s.said()[0])
}

// Guards: the remainders by keptDecisions.
func TestATraceKeepsTheLastDecisionsInOrder(t *testing.T) {
	var tr trace
	require.Empty(t, tr.decisions())
	for i := range 3*keptDecisions + 7 {
		tr.add(inspect.Decision{At: start, What: "grew", Why: fmt.Sprint(i)}, "")
		d := tr.decisions()
		require.Len(t, d, min(i+1, keptDecisions))
		require.Equal(t, fmt.Sprint(i), d[len(d)-1].Why)
		require.Equal(t, fmt.Sprint(max(0, i+1-keptDecisions)), d[0].Why)
	}
}

func TestATraceKeepsOneOfManyThatAreAlike(t *testing.T) {
	var tr trace
	for i := range 100 {
		err := fmt.Sprintf("read tcp 127.0.0.1:%d: connection reset by peer", 30000+i)
		tr.add(inspect.Decision{At: start.Add(time.Duration(i)), What: "failed", Why: "no connection"}, err)
	}
	require.Equal(t, []inspect.Decision{{
		At: start.Add(99), What: "failed", Why: "no connection: read tcp 127.0.0.1:30099: connection reset by peer",
	}}, tr.decisions())
	tr.add(inspect.Decision{At: start, What: "grew", Why: "no connection"}, "")
	tr.add(inspect.Decision{At: start, What: "failed", Why: "no connection"}, "")
	require.Len(t, tr.decisions(), 3)
}

// Guards: `shortened` in noteLocked and in trace.add. A server writes a part of some
// errors.
func TestADecisionInWordsIsBounded(t *testing.T) {
	much := strings.Repeat("é", longest)
	for _, n := range []note{{what: "failed", why: much}, {what: "failed", why: "no connection", err: much}} {
		p := newPool(silentConn{}, balancer.BuildOptions{})
		p.noteLocked(start, n)
		why := p.trace.decisions()[0].Why
		require.Greater(t, len(why), longest-2)
		require.LessOrEqual(t, len(why), longest+len("…"))
		require.True(t, utf8.ValidString(why))
		p.Close()
	}
}

// Guards: config.Default() in snapshotLocked: a Config of zeros is no settings.
func TestAPoolThatWasToldNothingIsJSON(t *testing.T) {
	p := newPool(silentConn{}, balancer.BuildOptions{})
	defer p.Close()
	shown, ok := p.Snapshot()
	require.True(t, ok)
	_, err := json.Marshal(shown)
	require.NoError(t, err)
	require.Equal(t, "IDLE", shown.State)
}

// A loop over the pools, as the docs show it, may come before the resolver.
//
// Guards: `p.cfg == nil` in Recycle.
func TestRecyclingAPoolThatWasToldNothingDoesNothing(t *testing.T) {
	cc := new(talkingConn)
	p := newPool(cc, balancer.BuildOptions{})
	defer p.Close()
	p.Recycle()
	require.Empty(t, cc.states)
	require.Empty(t, p.trace.decisions())
}

type talkingConn struct {
	silentConn
	states []balancer.State
}

func (c *talkingConn) UpdateState(s balancer.State) { c.states = append(c.states, s) }

type silentConn struct{ balancer.ClientConn }

func (silentConn) MetricsRecorder() stats.MetricsRecorder {
	return stats.UnimplementedMetricsRecorder{}
}
