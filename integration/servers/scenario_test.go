package servers

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// A scenario is a habit of a server or proxy, and a load that meets it.
type scenario struct {
	part, habit string
	start       func(*testing.T) server
	load        load
	settings    string // of the pool, beside its size
	size        int    // of the pool; 4 if 0
	pools       int    // that take turns; 1 if 0. There are as many plain channels as connections of them all
	disturbed   int    // how often the server is, during the load
	ends        bool   // the server ends connections
	// closesAfter is the time of silence after which the server closes a connection without
	// a GOAWAY, if RPCs are rarer than that.
	closesAfter time.Duration
	limit       int // of streams on a connection, of which more are needed
}

// A server is what a scenario has started.
type server struct {
	version string
	dial    dialer
	creds   credentials.TransportCredentials // of clients; nil for plaintext
	disturb func()
}

// nearly600 is a load in which each of 32 channels that take turns has an RPC just about when
// a connection has been idle for 600 ms.
var nearly600 = load{interval: 20 * time.Millisecond, jitter: 80 * time.Millisecond, rpcs: 300}

// few is a load in which each of 64 channels that take turns has an RPC every 1.6 seconds.
var few = load{interval: 25 * time.Millisecond, jitter: 200 * time.Millisecond, rpcs: 240}

// oneWay is the delay between clients and servers. What was sent within a round trip crosses
// a server's goodbye.
const oneWay = 20 * time.Millisecond

func scenarios() []scenario {
	return slices.Concat(node, ccore, nghttpx, netHTTP, muxed, apache, caddy)
}

const tableHead = "| part | scenario | plain channels: failed | pool: failed | plain channels: connections made | pool: connections made |"

// A pool loses at most what plain channels lose, and the RPCs in flight of one connection:
// which connection ends with RPCs on it is chance.
func TestAPoolLosesNoMoreThanAsManyPlainChannels(t *testing.T) {
	var rows []string
	for _, s := range scenarios() {
		t.Run(s.part+"/"+s.habit, func(t *testing.T) { rows = append(rows, s.run(t)) })
	}
	t.Logf("the table in docs/reliability.md:\n%s\n|---|---|---|---|---|---|\n%s", tableHead, strings.Join(rows, "\n"))
}

// run plays the load to plain channels and to a pool of as many connections, at the same time,
// and returns the scenario's row.
func (s scenario) run(t *testing.T) (row string) {
	srv := s.start(t)
	addr := startLink(t, srv.dial, oneWay)
	var opts []grpc.DialOption
	if srv.creds != nil {
		opts = append(opts, grpc.WithTransportCredentials(srv.creds))
	}
	size, pools := max(s.size, 4), max(s.pools, 1)
	plain, pool := openPlain(t, addr, pools*size, opts...), openPools(t, addr, pools, size, s.settings, opts...)
	s.load.play(s.disturbed, srv.disturb, plain, pool)
	t.Logf("%s\n%v\n%v", srv.version, plain, pool)

	allowed := plain.failed + pool.streams.mostOfOne
	if s.closesAfter > 0 {
		// A pool keeps its connections open; within a round trip of its end each loses RPCs.
		allowed += 2 * s.load.rpcs * int(2*oneWay) / int(s.closesAfter)
	}
	assert.LessOrEqual(t, pool.failed, allowed, "the pool lost more than plain channels and the RPCs in flight of one connection")
	for _, c := range []*client{plain, pool} {
		if s.ends {
			assert.Greater(t, int(c.conns.Load()), c.size, "%s: no connection has ended", c.name)
		} else {
			assert.Equal(t, c.size, int(c.conns.Load()), "%s: connections", c.name)
		}
		assert.Greater(t, c.streams.most, s.limit, "%s: one connection would have been enough", c.name)
	}
	return fmt.Sprintf("%s %d of %d | %d of %d | %d | %d |", s.rowBegins(),
		plain.failed, plain.made, pool.failed, pool.made, plain.conns.Load(), pool.conns.Load())
}

func (s scenario) rowBegins() string { return fmt.Sprintf("| %s | %s |", s.part, s.habit) }

func TestTheTableInTheDocsHasARowForEachScenarioAndNoOther(t *testing.T) {
	page, err := os.ReadFile("../../docs/reliability.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(page), "\n"+tableHead+"\n|---|---|---|---|---|---|\n")
	require.True(t, found, "the page has no such table: %s", tableHead)
	table, _, _ = strings.Cut(table, "\n\n")
	var told, want []string
	for _, row := range regexp.MustCompile(`(?m)^(\| .+? \| .+? \|) .*\|$`).FindAllStringSubmatch(table, -1) {
		told = append(told, row[1])
	}
	for _, s := range scenarios() {
		want = append(want, s.rowBegins())
	}
	assert.Equal(t, want, told)
}
