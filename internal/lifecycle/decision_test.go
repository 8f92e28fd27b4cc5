package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Guards: Endpoint.sizeReason, and the texts of all decisions.
func TestWhatAnEndpointDecidesItSaysInWords(t *testing.T) {
	s := tell(t, "minSize=2 maxSize=8 targetStreams=100 idleTimeout=16s maxLifetime=1h unresponsiveTimeout=1s")
	s.others = false
	require.Equal(t, []string{"grew 0→2: minSize 2"}, s.words())
	s.connect()
	s.held = 330
	s.settle()
	require.Equal(t, []string{"grew 2→5: 330 in flight, 165 per subchannel, targetStreams 100"}, s.words())
	s.connect()
	for _, sub := range s.subchannels {
		s.allow(sub, 50)
	}
	s.settle()
	require.Equal(t, []string{
		"grew 5→8: 330 in flight, 66 per subchannel, limit 50",
		"demand calls for 9 subchannels, maxSize is 8: 330 in flight, limit 50",
		"MAX_CONCURRENT_STREAMS: unlimited→50",
	}, s.words())
	s.all(Connecting, func(sub *Subchannel) { s.rise(sub); s.allow(sub, 50) })
	s.held = 120
	for range 18 {
		s.pass(time.Second)
	}
	said := s.words()
	require.Equal(t, "shrank 8→3: at most 120 in flight in the last 16s, limit 50", said[0])
	require.Equal(t, "demand calls for no more than maxSize 8 any more", said[1])
	require.Len(t, said, 2+5)
	require.Regexp(t, `^subchannel \d leaves: shrink, connected for 1[78]s, last used 1[78]s ago$`, said[2])

	require.True(t, s.ignored(s.subchannels[0]))
	s.settle()
	require.Regexp(t, `^subchannel \d has answered nothing for 1s, and is replaced$`, s.words()[0])
	s.connect()
	require.Regexp(t, `^subchannel \d leaves: unresponsive, connected for \d+s, last used \d+s ago$`, s.words()[0])
	s.lose(s.subchannels[0])
	s.settle()
	require.Regexp(t, `^subchannel \d lost its connection, after \d+s$`, s.words()[0])
	s.end(s.subchannels[1], End{GoAway: "GOAWAY, code: NO_ERROR"})
	s.settle()
	require.Regexp(t, `^subchannel \d lost its connection, after \d+s: GOAWAY, code: NO_ERROR$`, s.words()[0])

	s.SetSettings(parseSettings(t, s.settings, "size=1"), s.now)
	s.settle()
	require.Equal(t, "shrank 3→1: maxSize 1", s.words()[0])
	s.held = 0
	s.SetSettings(parseSettings(t, s.settings, "minSize=0"), s.now)
	for range 18 {
		s.pass(time.Second)
	}
	require.Contains(t, s.words(), "shrank 1→0: unused for 16s")
	s.others = true
	s.settle()
	require.Equal(t, "grew 0→1: it is used", s.words()[0])
}

// Guards: `" of late"` in Endpoint.sizeReason.
func TestGrowthForAPeakThatIsOverIsForRPCsOfLate(t *testing.T) {
	s := tell(t, "minSize=1 maxSize=8 idleTimeout=16s")
	s.connect()
	s.held = 200
	s.settle()
	s.words()
	s.held = 10
	s.pass(time.Second)
	for _, sub := range s.those(Connecting) {
		s.rise(sub)
	}
	for _, sub := range s.subchannels {
		s.allow(sub, 50)
	}
	s.settle()
	require.Equal(t, "grew 3→5: 200 in flight of late, 66 per subchannel, limit 50", s.words()[0])
}

// Guards: `at most` in Endpoint.sizeReason.
func TestShrinkingIsForThePeakOfTheWindow(t *testing.T) {
	s := tell(t, "minSize=1 maxSize=8 idleTimeout=16s")
	s.connect()
	s.held = 200
	s.settle()
	s.connect()
	s.held = 10
	for range 17 {
		s.pass(time.Second)
	}
	require.Contains(t, s.words(), "shrank 3→1: at most 10 in flight in the last 16s, targetStreams 100")
}

// Guards: the if about IdleTimeout in Endpoint.decideRetired: then use is not sampled.
func TestWithoutIdleTimeoutTheLastUseIsNotTold(t *testing.T) {
	s := tell(t, "size=1 maxLifetime=1h")
	s.connect()
	s.pass(time.Hour)
	s.words()
	s.connect()
	require.Equal(t, []string{"subchannel 1 leaves: max_lifetime, connected for 1h0m0s"}, s.words())
}

func TestEachKindPhaseAndStateHasAName(t *testing.T) {
	for want, got := range map[string]string{
		"grew": Grew.String(), "shrank": Shrank.String(), "opened": Opened.String(), "failed": Failed.String(),
		"attempt_failed": AttemptFailed.String(), "renewed": Renewed.String(), "retired": Retired.String(),
		"lost": Lost.String(), "suspected": Suspected.String(), "limit": LimitChanged.String(),
		"idle": Idle.String(), "connecting": Connecting.String(), "backoff": Backoff.String(), "checking": Checking.String(),
		"not_serving": NotServing.String(), "ready": Ready.String(), "draining": Draining.String(), "closed": Closed.String(),
		"READY": StateReady.String(), "CONNECTING": StateConnecting.String(), "IDLE": StateIdle.String(),
		"TRANSIENT_FAILURE": StateTransientFailure.String(),
	} {
		assert.Equal(t, want, got)
	}
}
