package balancer_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/grpc-subpool/subpool/internal/harness"
)

const logged = "SUBPOOL_TEST_LOGGED_RPCS"

// TestTheStoryOfTheLog is no test of its own: the one below runs it in another process,
// for gRPC reads only once what it should log.
func TestTheStoryOfTheLog(t *testing.T) {
	rpcs, err := strconv.Atoi(os.Getenv(logged))
	if err != nil {
		t.Skip("only for TestTheLogTellsEveryDecision")
	}
	synctest.Test(t, func(t *testing.T) {
		opts := harness.Options{Handle: lasting(time.Millisecond), Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(100)}}
		s := harness.Start(t, opts)
		r := resolverOf("a:1")
		c := client{t, channelOf(t, s, r, harness.Policy(`{"size":4,"lifetimeJitter":0}`)), s}
		c.Connect()
		synctest.Wait()
		for range rpcs {
			require.NoError(t, c.call())
		}
		time.Sleep(time.Minute)
		c.Cut(1)
		synctest.Wait()
		r.UpdateState(withConfig(r, `{"size":3,"maxLifetime":"10s","lifetimeJitter":0,"drainTimeout":"1s"}`))
		synctest.Wait()
		end := c.stream()
		time.Sleep(20 * time.Second)
		end()
		state := addresses("b:1")
		state.ServiceConfig = withConfig(r, `{"minSize":0,"idleTimeout":"10s","lifetimeJitter":0,"drainTimeout":"1s"}`).ServiceConfig
		r.UpdateState(state)
		synctest.Wait()
		pool(t).Recycle()
		time.Sleep(time.Minute)
		c.Break(harness.Refuse)
		require.Error(t, c.call())
		for _, d := range shown(t).Decisions {
			fmt.Println(d.What, "|", d.Why)
		}
	})
}

// decided is what that test must log, in regular expressions.
var decided = []string{
	`added a:1`,
	`grew 0→4: minSize 4 \(a:1\)`,
	`IDLE→CONNECTING`,
	`MAX_CONCURRENT_STREAMS: unlimited→100 \(a:1\)`,
	`new settings: minSize 4→3, maxSize 4→3, maxLifetime 1h0m0s→10s, drainTimeout 0s→1s`,
	`shrank 4→3: maxSize 3 \(a:1\)`,
	`subchannel \d leaves: settings, connected for .*, last used .* ago \(a:1\)`,
	`subchannel \d lost its connection, after 1m0.003s \(a:1\)`,
	`subchannel \d leaves: max_lifetime, connected for .* \(a:1\)`,
	`a connection is closed with 1 RPCs in flight, for it did not drain in 1s`,
	`added b:1`,
	`removed a:1`,
	`subchannel \d+ leaves: endpoint_removed, connected for .* \(a:1\)`,
	`Recycle was called: 1 connections to be replaced`,
	`subchannel \d+ leaves: recycle, connected for .* \(b:1\)`,
	`shrank 1→0: unused for 10s \(b:1\)`,
	`READY→IDLE`,
	`no connection to b:1`,
	`CONNECTING→TRANSIENT_FAILURE`,
}

// Every decision is logged in the words in which it is remembered; no RPC is.
func TestTheLogTellsEveryDecision(t *testing.T) {
	tell := func(rpcs int) (remembered, told []string) {
		story := exec.Command(os.Args[0], "-test.run=^TestTheStoryOfTheLog$")
		story.Env = append(os.Environ(), logged+"="+fmt.Sprint(rpcs), "GRPC_GO_LOG_SEVERITY_LEVEL=info")
		var out, log bytes.Buffer
		story.Stdout, story.Stderr = &out, &log
		require.NoError(t, story.Run(), out.String())
		for line := range strings.Lines(out.String()) {
			if _, why, ok := strings.Cut(strings.TrimSpace(line), " | "); ok {
				remembered = append(remembered, why)
			}
		}
		for line := range strings.Lines(log.String()) {
			if _, ours, ok := strings.Cut(strings.TrimSpace(line), "[subpool] "); ok {
				why, ok := strings.CutPrefix(ours, "subpool: test:///: ")
				require.True(t, ok, "the target is missing: %s", line)
				told = append(told, why)
			}
		}
		return remembered, told
	}
	remembered, told := tell(3)
	require.Len(t, told, len(remembered))
	for i, why := range remembered { // what a server or dialer says of it, which may be a secret, is not logged
		require.True(t, why == told[i] || strings.HasPrefix(why, told[i]+": "), "%s\n%s", why, told[i])
	}
	all := "\n" + strings.Join(told, "\n") + "\n"
	for _, words := range decided {
		require.Regexp(t, `\n`+words+`\n`, all)
	}
	_, busy := tell(300)
	require.Len(t, busy, len(told), "whatever the number of RPCs")
}

// docs/log.md has each phase as it is logged at this verbosity.
//
// Guards: that a SubConn that is CONNECTING, which changes nothing, is logged all the same.
func TestAtItsVerbosityTheLogTellsEachPhase(t *testing.T) {
	story := exec.Command(os.Args[0], "-test.run=^TestTheStoryOfTheLog$")
	story.Env = append(os.Environ(), logged+"=1", "GRPC_GO_LOG_SEVERITY_LEVEL=info", "GRPC_GO_LOG_VERBOSITY_LEVEL=2")
	log, err := story.CombinedOutput()
	require.NoError(t, err, "%s", log)
	for _, words := range []string{"connecting (gRPC says CONNECTING of a:1)", "checking (gRPC says READY of a:1)", "idle (gRPC says IDLE of a:1)"} {
		require.True(t, bytes.Contains(log, []byte(" is now "+words)), words)
	}
}
