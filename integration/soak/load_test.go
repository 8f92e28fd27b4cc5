package soak

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

// A kind is what an RPC does, beside being called.
type kind string

const (
	usual     kind = "usual"     // answered at once
	patient   kind = "patient"   // waits for ready
	slow      kind = "slow"      // the server takes its time
	fetching  kind = "fetching"  // credentials take theirs
	withdrawn kind = "withdrawn" // may be cancelled before it is answered
	hasty     kind = "hasty"     // with a short deadline
	doomed    kind = "doomed"    // never answered
	stream    kind = "stream"    // held open
)

// Deadlines. No fault lasts as long as the usual one.
const (
	long  = 30 * time.Second
	short = 700 * time.Millisecond
	brief = 50 * time.Millisecond
)

// anyKind draws one. Most are usual: they are what a million is made of.
func anyKind(r *rand.Rand) kind {
	switch n := r.IntN(1000); {
	case n < 800:
		return usual
	case n < 820:
		return patient
	case n < 860:
		return slow
	case n < 880:
		return fetching
	case n < 910:
		return withdrawn
	case n < 995:
		return hasty
	}
	return doomed
}

// takes is the metadata that tells the server how long an answer takes.
const takes = "soak-takes"

// handle is the server's part.
func handle(ctx context.Context, _ int) error {
	v := metadata.ValueFromIncomingContext(ctx, takes)
	if len(v) == 0 {
		return nil
	}
	if d, err := time.ParseDuration(v[0]); err == nil {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// call makes one RPC on c.
func (s *soak) call(c *channel, rnd *rand.Rand) {
	r := &rpc{kind: anyKind(rnd), channel: c}
	lasts, took := long, time.Duration(0)
	var opts []grpc.CallOption
	switch r.kind {
	case patient:
		opts = []grpc.CallOption{grpc.WaitForReady(true)}
	case slow:
		took = between(rnd, time.Millisecond, 30*time.Millisecond)
	case fetching:
		r.credentials = between(rnd, time.Millisecond, 30*time.Millisecond)
	case withdrawn:
		took = 2 * time.Millisecond
	case hasty:
		lasts = short
	case doomed:
		lasts, took = brief, time.Hour
	}
	ctx := context.WithValue(context.Background(), rpcKey{}, r)
	if took > 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, takes, took.String())
	}
	r.begin = time.Now()
	r.deadline = r.begin.Add(lasts)
	ctx, cancel := context.WithDeadline(ctx, r.deadline)
	defer cancel()
	if r.kind == withdrawn {
		withdraw := time.AfterFunc(between(rnd, 0, 4*time.Millisecond), r.withdraw(cancel))
		defer withdraw.Stop()
	}
	r.err = emptyCall(ctx, c, opts...)
	s.ended(r)
}

func emptyCall(ctx context.Context, c *channel, opts ...grpc.CallOption) error {
	_, err := grpc_testing.NewTestServiceClient(c).EmptyCall(ctx, &grpc_testing.Empty{}, opts...)
	return err
}

// withdraw notes when the RPC is cancelled, before it is.
func (r *rpc) withdraw(cancel context.CancelFunc) func() {
	return func() {
		r.mu.Lock()
		r.cancelled = time.Now()
		r.mu.Unlock()
		cancel()
	}
}

// hold keeps a stream open on c for a while, and talks on it.
func (s *soak) hold(c *channel, rnd *rand.Rand) {
	r := &rpc{kind: stream, channel: c, begin: time.Now()}
	r.deadline = r.begin.Add(long)
	ctx, cancel := context.WithDeadline(context.WithValue(context.Background(), rpcKey{}, r), r.deadline)
	defer cancel()
	r.err = talk(ctx, c, between(rnd, 50*time.Millisecond, 2*time.Second), between(rnd, 20*time.Millisecond, 500*time.Millisecond))
	s.ended(r)
}

// talk opens a stream, says something each time that pause has passed, and ends it
// well after some time.
func talk(ctx context.Context, c *channel, lasts, pause time.Duration) error {
	st, err := grpc_testing.NewTestServiceClient(c).FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	request := &grpc_testing.StreamingOutputCallRequest{ResponseParameters: []*grpc_testing.ResponseParameters{{Size: 1}}}
	for until := time.Now().Add(lasts); time.Now().Before(until); time.Sleep(pause) {
		if err := st.Send(request); err != nil && !errors.Is(err, io.EOF) { // EOF: Recv tells
			return err
		}
		if _, err := st.Recv(); err != nil {
			return err
		}
	}
	if err := st.CloseSend(); err != nil {
		return err
	}
	if _, err := st.Recv(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// The load of one round: how many at a time.
const (
	callers = 24 // on each of the busy channels
	holders = 6
	bursts  = 8 // on the channel that goes idle
)

// load begins to call. stop ends that, and waits until each RPC has ended.
func (s *soak) load(round uint64) (stop func()) {
	done := make(chan struct{})
	worker := round << 32
	work := func(do func(rnd *rand.Rand)) {
		worker++
		rnd := rand.New(rand.NewPCG(s.seed, worker))
		s.working.Add(1)
		go func() {
			defer s.working.Add(-1)
			for !over(done) {
				do(rnd)
			}
		}()
	}
	for _, c := range s.busy {
		for range callers {
			work(func(rnd *rand.Rand) { s.call(c, rnd) })
		}
		for range holders {
			work(func(rnd *rand.Rand) { s.hold(c, rnd) })
		}
	}
	work(s.burst)
	return func() {
		close(done)
		s.waitFor("every RPC to end", long+outlives, func() string { return left(s.working.Load(), "callers") })
	}
}

func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// burst makes RPCs on the channel that goes idle, and lets it.
func (s *soak) burst(rnd *rand.Rand) {
	var burst sync.WaitGroup
	for range bursts {
		rnd := rand.New(rand.NewPCG(rnd.Uint64(), 0))
		burst.Go(func() {
			for range 1 + rnd.IntN(50) {
				s.call(s.dozy, rnd)
			}
		})
	}
	burst.Wait()
	time.Sleep(between(rnd, 0, 3*idleAfter))
}
