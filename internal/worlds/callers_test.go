package worlds

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
)

// raw is a codec of bytes.
type raw struct{}

func (raw) Name() string { return "raw" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (raw) Unmarshal(mem.BufferSlice, any) error { return nil }

const method = "/worlds.World/Call"

// An rpc is what one is to be: the same for the pool and for plain channels.
type rpc struct {
	takes    time.Duration
	deadline time.Duration
	needs    time.Duration // at the least: credentials, round trip, what the quickest server takes, and takes
	short    bool
	code     codes.Code
	fails    bool // its credentials do
	creds    time.Duration
	wait     bool
}

type rpcKey struct{}

// tokens are per-RPC credentials that do as the RPC says.
type tokens struct{}

var errNoToken = errors.New("worlds: no token")

func (tokens) RequireTransportSecurity() bool { return false }

func (tokens) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	r, _ := ctx.Value(rpcKey{}).(*rpc)
	if r == nil {
		return nil, nil
	}
	if err := sleep(ctx, r.creds); err != nil {
		return nil, err
	}
	if r.fails {
		return nil, errNoToken
	}
	return nil, nil
}

// A play is one contender before one world's servers.
type play struct {
	*stage
	channels  []*grpc.ClientConn
	resolvers []*manual.Resolver // of these
	ctx       context.Context    // of streams that are never ended
	start     time.Time

	mu   sync.Mutex
	next int // channel
	figures
	flying, mostFlying int
}

// afterFailure is how long callers that loop wait at least after an RPC that failed.
const afterFailure = 20 * time.Millisecond

// call makes all RPCs of the world, and returns when they have ended.
func (p *play) call() {
	var calling sync.WaitGroup
	for i, c := range p.world.Callers {
		calling.Go(func() {
			time.Sleep(time.Until(p.start.Add(c.From)))
			for range c.Leaked {
				p.leak()
			}
			for range c.Streams {
				calling.Go(func() { p.rpc(&rpc{takes: c.For, deadline: c.For + deadline}) })
			}
			if c.Rate > 0 {
				p.atRate(c, i, &calling)
			}
			for n := range c.Loop {
				calling.Go(func() { p.inLoop(c, i<<16+n) })
			}
		})
	}
	calling.Wait()
}

func (p *play) atRate(c Callers, salt int, calling *sync.WaitGroup) {
	luck := rand.New(rand.NewPCG(p.world.Seed, uint64(salt)))
	burst := max(1, c.Burst)
	every := time.Duration(float64(time.Second) * float64(burst) / c.Rate)
	for at := time.Duration(0); at < c.For; at += every {
		time.Sleep(time.Until(p.start.Add(c.From + at)))
		for range burst {
			r := c.draw(luck)
			calling.Go(func() { p.rpc(r) })
		}
	}
}

func (p *play) inLoop(c Callers, salt int) {
	luck := rand.New(rand.NewPCG(p.world.Seed, uint64(salt)))
	for end := p.start.Add(c.From + c.For); time.Now().Before(end); {
		// A caller whose RPC fails at once waits longer, or how fast it fails would count.
		if p.rpc(c.draw(luck)) {
			time.Sleep(max(c.Pause, 100*time.Microsecond))
		} else {
			time.Sleep(max(c.Pause, afterFailure))
		}
	}
}

// draw says what the next RPC is.
func (c *Callers) draw(luck *rand.Rand) *rpc {
	oneIn := func(n int) bool { return n > 0 && luck.IntN(n) == 0 }
	r := &rpc{deadline: deadline, wait: c.Wait, takes: time.Duration(float64(c.Takes) * (0.5 + luck.Float64()))}
	if c.Deadline > 0 {
		r.deadline = c.Deadline
	}
	if oneIn(c.ShortOneIn) {
		r.deadline, r.short = c.Short, true
	}
	r.fails = oneIn(c.FailOneIn)
	if oneIn(c.SlowOneIn) {
		r.creds = c.Creds
	}
	if oneIn(c.CodeOneIn) {
		r.code = c.Code
	}
	return r
}

func (r *rpc) order() []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(r.takes.Microseconds())), byte(r.code))
}

func (p *play) channel() *grpc.ClientConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	p.flying++
	p.mostFlying = max(p.mostFlying, p.flying)
	return p.channels[p.next%len(p.channels)]
}

// rpc makes one, and reports whether it ended as it was to.
func (p *play) rpc(r *rpc) bool {
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), rpcKey{}, r), r.deadline)
	defer cancel()
	r.needs = r.creds + p.world.roundTrip() + p.world.quickest() + r.takes
	cc, begin := p.channel(), time.Now()
	err := cc.Invoke(ctx, method, r.order(), nil, grpc.ForceCodecV2(raw{}), grpc.WaitForReady(r.wait))
	took := time.Since(begin) - r.takes - r.creds
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flying--
	return p.note(r, status.Code(err), err, took, time.Since(p.start))
}

// leak begins a stream and forgets it.
func (p *play) leak() {
	cc := p.channel()
	desc := &grpc.StreamDesc{ServerStreams: true}
	go func() {
		stream, err := cc.NewStream(p.ctx, desc, method, grpc.ForceCodecV2(raw{}))
		if err == nil {
			_ = stream.SendMsg(append(binary.BigEndian.AppendUint32(nil, forever), 0))
		}
	}()
}
