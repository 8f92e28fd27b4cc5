package balancer_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
	"github.com/grpc-subpool/subpool/picker"
)

// A client is a channel in a story, with the calls that stories make.
type client struct {
	t *testing.T
	*grpc.ClientConn
	*harness.Server
}

// story runs in virtual time a server and a channel to it.
func story(t *testing.T, settings string, opts harness.Options, tell func(*testing.T, client), dial ...grpc.DialOption) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, opts)
		c := client{t, s.NewClient(t, harness.Policy(settings), dial...), s}
		c.Connect()
		synctest.Wait()
		tell(t, c)
	})
}

// call makes one RPC with a deadline far beyond what it needs.
func (c client) call(opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := grpc_testing.NewTestServiceClient(c).EmptyCall(ctx, &grpc_testing.Empty{}, opts...)
	return err
}

// stream opens a stream that stays open until end is called. It has a deadline only
// until it is open.
func (c client) stream() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	late := time.AfterFunc(10*time.Second, cancel)
	st, err := grpc_testing.NewTestServiceClient(c).FullDuplexCall(ctx)
	late.Stop()
	require.NoError(c.t, err)
	require.NoError(c.t, st.Send(&grpc_testing.StreamingOutputCallRequest{}))
	synctest.Wait()
	return func() { cancel(); synctest.Wait() }
}

// streams opens n streams, each on a connection of its own: chance could put two
// on one, and with them all streams that a server's limit of 2 allows.
func (c client) streams(n int) (end func()) {
	ends := make([]func(), 0, n)
	for len(ends) < n {
		if end := c.stream(); c.Streams() > len(ends) {
			ends = append(ends, end)
		} else {
			end()
		}
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}

// load runs callers, each making one RPC after the other, until it is stopped;
// it then returns how many ended, and the errors and the slowest of them.
func (c client) load(callers int) (stop func() (done int, failed []error, slowest time.Duration)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var done int
	var failed []error
	var slowest time.Duration
	var stopped atomic.Bool
	for range callers {
		wg.Go(func() {
			for !stopped.Load() {
				begin := time.Now()
				err := c.call()
				mu.Lock()
				done++
				slowest = max(slowest, time.Since(begin))
				if err != nil {
					failed = append(failed, err)
				}
				mu.Unlock()
				if err != nil {
					time.Sleep(time.Millisecond) // or failing at once would stop virtual time
				}
			}
		})
	}
	c.t.Cleanup(func() { stopped.Store(true); wg.Wait() })
	return func() (int, []error, time.Duration) {
		stopped.Store(true)
		wg.Wait()
		return done, failed, slowest
	}
}

func taking(d time.Duration) func(context.Context, int) error {
	return func(context.Context, int) error { time.Sleep(d); return nil }
}

// Guards: the loop over all subchannels in lifecycle.Endpoint.startAttempts; with one dial
// at a time the pool would take six seconds.
func TestConnectOpensAllSubchannelsSideBySide(t *testing.T) {
	story(t, `{"size":6}`, harness.Options{DialTime: time.Second}, func(t *testing.T, c client) {
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 6, c.Open())
		require.Equal(t, connectivity.Ready, c.GetState())
	})
}

// Guards: `*l = slices.Insert(*l, at, x)` in loads.replace; the first READY
// subchannel alone would serve everything.
func TestRPCsSpreadOverAllSubchannels(t *testing.T) {
	story(t, `{"size":6}`, harness.Options{Handle: taking(10 * time.Millisecond)}, func(t *testing.T, c client) {
		stop := c.load(24)
		time.Sleep(5 * time.Second)
		done, failed, _ := stop()
		require.Empty(t, failed)
		require.GreaterOrEqual(t, done, 10000)
		require.Equal(t, 6, c.Accepted())
		for conn, n := range c.Calls() {
			require.InEpsilon(t, done/6, n, 0.1, "connection %d", conn)
		}
	})
}

// Guards: `next.picker = p.cfg.Picker` in publishLocked.
func TestRoundRobinIsExact(t *testing.T) {
	story(t, `{"size":5,"picker":"round_robin"}`, harness.Options{}, func(t *testing.T, c client) {
		for range 1000 {
			require.NoError(t, c.call())
		}
		for conn, n := range c.Calls() {
			require.Equal(t, 200, n, "connection %d", conn)
		}
	})
}

// Guards: `MinSize: 1` in config.Default, and `s.MinSize` in lifecycle's sizeFor.
func TestNamingThePolicyAloneOpensOneConnection(t *testing.T) {
	story(t, `{}`, harness.Options{}, func(t *testing.T, c client) {
		require.NoError(t, c.call())
		require.Equal(t, 1, c.Accepted())
	})
}

// Guards: `s.move(Idle, Checking, NotServing, Ready, Connecting)` in
// lifecycle.Subchannel.lost; the pool would shrink.
func TestALostConnectionIsReplacedAtOnce(t *testing.T) {
	story(t, `{"size":4}`, harness.Options{}, func(t *testing.T, c client) {
		time.Sleep(time.Minute)
		c.Cut(1, 2)
		synctest.Wait()
		require.Equal(t, 4, c.Open())
		require.Equal(t, 6, c.Accepted())
	})
}

// Guards: `p.published == next` in publishLocked: each publication makes
// a picker, and every blocked RPC picks again.
func TestNothingIsPublishedWhenNothingChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		parent := harness.Parent(t.Name())
		r := manual.NewBuilderWithScheme("test")
		state := resolver.State{Addresses: []resolver.Address{{Addr: "a:1"}}}
		r.InitialState(state)
		cc := channelOf(t, s, r, parent.Policy(`{"subpool":{"size":4}}`))
		cc.Connect()
		synctest.Wait()
		published := parent.Updates()
		require.LessOrEqual(t, published, 1+4, "CONNECTING, and at most once for each connection")
		r.UpdateState(state)
		synctest.Wait()
		require.Equal(t, published, parent.Updates())
	})
}

// Guards: `p.disconnectLocked(s, now)` in lostLocked together with `load.New`
// in connectedLocked: one Load per subchannel would make the new connection look full.
func TestAConnectionAfterGoAwayStartsEmpty(t *testing.T) {
	story(t, `{"size":2}`, harness.Options{}, func(t *testing.T, c client) {
		for range 10 {
			defer c.stream()()
		}
		time.Sleep(time.Minute)
		c.GoAway(t, 1)
		synctest.Wait()
		require.Equal(t, 3, c.Open(), "the old connection lives on for its streams")
		for range 4 {
			require.NoError(t, c.call())
		}
		require.Equal(t, map[int]int{3: 4}, c.Calls())
	})
}

// Guards: `l.penalize()` in load.Load.fail.
func TestASubchannelThatFailsFastDoesNotAttractLoad(t *testing.T) {
	handle := func(_ context.Context, conn int) error {
		if conn == 1 {
			return status.Error(codes.Unavailable, "not this one")
		}
		time.Sleep(20 * time.Millisecond)
		return nil
	}
	for _, callers := range []int{1, 16, 100} {
		story(t, `{"size":4}`, harness.Options{Handle: handle}, func(t *testing.T, c client) {
			stop := c.load(callers)
			time.Sleep(5 * time.Second)
			c.ResetCalls() // by now it is steady
			time.Sleep(10 * time.Second)
			calls := c.Calls()
			_, _, _ = stop()
			total := calls[1] + calls[2] + calls[3] + calls[4]
			t.Logf("%d callers: %.2f %% of %d RPCs", callers, 100*float64(calls[1])/float64(total), total)
			require.Less(t, float64(calls[1]), 0.05*float64(total))
		})
	}
}

// readyCounts builds pickers that take the connections in turn, and notes how many are READY
// each time that the pool publishes.
type readyCounts struct {
	mu   sync.Mutex
	seen []int
}

func (r *readyCounts) Build(info base.PickerBuildInfo) balancer.Picker {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, len(info.ReadySCs))
	return &turns{conns: slices.Collect(maps.Keys(info.ReadySCs))}
}

type turns struct {
	conns []balancer.SubConn
	next  atomic.Uint64
}

func (p *turns) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	return balancer.PickResult{SubConn: p.conns[p.next.Add(1)%uint64(len(p.conns))]}, nil
}

var counted = new(readyCounts)

func init() { picker.Register("counted", counted) }

// Guards: `if ready > size` in lifecycle.Endpoint.retireSurplus; one less, and the pool would
// retire before the successor is READY.
func TestRenewalNeverTakesREADYBelowTheSize(t *testing.T) {
	counted.seen = nil
	opts := harness.Options{DialTime: 100 * time.Millisecond, Handle: taking(10 * time.Millisecond)}
	story(t, `{"size":6,"maxLifetime":"10s","idleTimeout":"0s","picker":"counted"}`, opts, func(t *testing.T, c client) {
		stop := c.load(4)
		time.Sleep(time.Minute)
		_, failed, _ := stop()
		require.Empty(t, failed)
		require.GreaterOrEqual(t, c.Accepted(), 6*6, "six lives in a minute")
		first := slices.Index(counted.seen, 6)
		require.GreaterOrEqual(t, first, 0)
		require.Equal(t, 6, slices.Min(counted.seen[first:]), "READY connections at each publication: %v", counted.seen)
	})
}
