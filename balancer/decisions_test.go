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

// Guards: the remainders by keptDecisions.
func TestADecisionLogKeepsTheLastDecisionsInOrder(t *testing.T) {
	var l decisionLog
	require.Empty(t, l.all())
	for i := range 3*keptDecisions + 7 {
		l.add(inspect.Decision{At: start, What: "grew", Why: fmt.Sprint(i)}, "")
		d := l.all()
		require.Len(t, d, min(i+1, keptDecisions))
		require.Equal(t, fmt.Sprint(i), d[len(d)-1].Why)
		require.Equal(t, fmt.Sprint(max(0, i+1-keptDecisions)), d[0].Why)
	}
}

func TestADecisionLogKeepsOneOfManyThatAreAlike(t *testing.T) {
	var l decisionLog
	for i := range 100 {
		err := fmt.Sprintf("read tcp 127.0.0.1:%d: connection reset by peer", 30000+i)
		l.add(inspect.Decision{At: start.Add(time.Duration(i)), What: "failed", Why: "no connection"}, err)
	}
	require.Equal(t, []inspect.Decision{{
		At: start.Add(99), What: "failed", Why: "no connection: read tcp 127.0.0.1:30099: connection reset by peer",
	}}, l.all())
	l.add(inspect.Decision{At: start, What: "grew", Why: "no connection"}, "")
	l.add(inspect.Decision{At: start, What: "failed", Why: "no connection"}, "")
	require.Len(t, l.all(), 3)
}

// Guards: `shortened` in decideLocked and in decisionLog.add. A server writes a part
// of some causes.
func TestADecisionInWordsIsBounded(t *testing.T) {
	much := strings.Repeat("é", longest)
	for _, d := range []decision{{what: "failed", why: much}, {what: "failed", why: "no connection", cause: much}} {
		p := newPool(silentConn{}, balancer.BuildOptions{})
		p.decideLocked(start, d)
		why := p.decisions.all()[0].Why
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
	require.Empty(t, p.decisions.all())
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
