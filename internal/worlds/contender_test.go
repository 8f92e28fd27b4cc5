package worlds

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // client-side health checking
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// A contender plays a world: it is one or several channels, taken in turn.
type contender struct {
	name     string
	policy   string // in JSON
	channels int
	spoils   grpc.UnaryClientInterceptor // what it does to its RPCs: to judge the judge
	recorder *harness.Recorder           // nil if its metrics are not looked at
}

// plain is as many channels as a user of gRPC would have without a pool.
func (w *World) plain(channels int) contender {
	policy := `{"pick_first":{}}`
	if w.Apart || w.Health { // pick_first checks no health
		policy = `{"round_robin":{}}`
	}
	return contender{name: fmt.Sprintf("%d × %s", channels, policy), policy: policy, channels: channels}
}

func (w *World) pool() contender {
	return contender{name: "subpool " + w.Setting, policy: fmt.Sprintf(`{%q:%s}`, countedPolicy, w.Setting), channels: 1}
}

// play shows the world to c once. Virtual time that stands still ends the tests, for a
// bubble cannot be left.
func (w *World) play(t *testing.T, c contender, draw uint64) (f figures) {
	const longest = time.Minute
	stuck := time.AfterFunc(longest, func() {
		panic(fmt.Sprintf("virtual time stood still for %v: %v\nplayed by %v", longest, w, c.name))
	})
	defer stuck.Stop()
	defer func() {
		switch r := recover(); {
		case r == nil:
		case strings.Contains(fmt.Sprint(r), "blocked goroutines remain"):
			f.left = true
		default:
			panic(fmt.Sprintf("%v\n%v\nplayed by %v", r, w, c.name))
		}
	}()
	synctest.Test(t, func(t *testing.T) { f = w.playInBubble(t, c, draw) })
	return f
}

var playCount atomic.Uint64

func (w *World) playInBubble(t *testing.T, c contender, draw uint64) figures {
	ctx, cancel := context.WithCancel(context.Background())
	p := &play{stage: newStage(w, draw), ctx: ctx}
	id := fmt.Sprintf("play-%d", playCount.Add(1))
	n := new(count)
	counts.Store(id, n)
	defer counts.Delete(id)
	for range c.channels {
		cc, err := grpc.NewClient("worlds:///"+id, p.options(c)...)
		if err != nil {
			t.Fatal(err)
		}
		cc.Connect()
		p.channels = append(p.channels, cc)
	}
	time.Sleep(2*w.handshake() + 10*time.Millisecond + w.Warm + w.phase(draw))
	p.start = time.Now()
	p.stage.mu.Lock()
	p.stage.calls = true
	p.stage.mu.Unlock()
	done := make(chan struct{})
	var events sync.WaitGroup
	events.Go(func() { p.happen(p.start, done) })
	events.Go(func() { p.churn(done) })
	p.call()
	p.figures.lasted = time.Since(p.start) + w.Warm
	close(done)
	events.Wait()
	p.stage.mu.Lock()
	f := &p.figures
	f.dials, f.rush, f.made, f.most = p.stage.dials, p.stage.rush, p.stage.made, p.stage.most
	for _, b := range p.backends {
		f.shares = append(f.shares, b.rpcs)
	}
	p.stage.mu.Unlock()
	if c.recorder != nil {
		f.outliers = outliers("worlds:///" + id)
	}
	cancel()
	for _, cc := range p.channels {
		_ = cc.Close()
	}
	p.stop()
	const gone = 2 * time.Second // and what is not gone by then is left
	time.Sleep(gone + w.roundTrip())
	p.channels = nil
	f.kept = w.Own.Gone && n.kept()
	f.publications, f.spun = int(n.all.Load()), n.spun.Load()
	f.flying = p.mostFlying
	f.each = p.mostFlying/max(1, f.most) + 1
	return *f
}

// phase is how much longer than Warm the rest lasts in a play: up to a connection's life and
// a handshake, so that it is chance how old the connections are when the callers begin.
func (w *World) phase(draw uint64) time.Duration {
	if draw == 0 || w.shortest() == 0 {
		return 0
	}
	r := rand.New(rand.NewPCG(w.Seed, draw))
	return time.Duration(r.Int64N(int64(w.shortest() + w.handshake())))
}

// resolved is what the resolver says, but for a server that it drops; -1 is none.
func (w *World) resolved(dropped int) (state resolver.State) {
	for i := range w.Servers {
		if (i == 0 || w.Apart) && i != dropped {
			address := resolver.Address{Addr: fmt.Sprintf("server-%d", i)}
			state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{address}})
		}
	}
	return state
}

// churn lets the resolvers drop one server after the other.
func (p *play) churn(done <-chan struct{}) {
	for i := 0; p.world.Churn > 0; i++ {
		select {
		case <-done:
			return
		case <-time.After(p.world.Churn):
		}
		for _, r := range p.resolvers {
			r.UpdateState(p.world.resolved(i % len(p.world.Servers)))
		}
	}
}

func (p *play) options(c contender) []grpc.DialOption {
	r := manual.NewBuilderWithScheme("worlds")
	r.InitialState(p.world.resolved(-1))
	p.resolvers = append(p.resolvers, r)
	health := ""
	if p.world.Health {
		health = `"healthCheckConfig":{"serviceName":""},`
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(tokens{}),
		grpc.WithResolvers(r),
		grpc.WithIdleTimeout(0),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return p.dial(ctx, addr) }),
		grpc.WithDefaultServiceConfig(`{` + health + `"loadBalancingConfig":[` + c.policy + `]}`),
	}
	if p.world.Keepalive > 0 {
		opts = append(opts, grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: p.world.Keepalive, Timeout: p.world.Keepalive / 2}))
	}
	if c.recorder != nil {
		opts = append(opts, grpc.WithStatsHandler(c.recorder))
	}
	if c.spoils != nil {
		opts = append(opts, grpc.WithUnaryInterceptor(c.spoils))
	}
	return opts
}
