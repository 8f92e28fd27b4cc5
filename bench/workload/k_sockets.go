package workload

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

// afterSockets is for how long nothing may happen after a start over sockets.
const afterSockets = 200 * time.Millisecond

// sockets are starts over real ones. Each connection is two open files, one here and one in
// the server; Go has raised the limit of both processes as far as they may.
func (k *scaling) sockets() (err error) {
	t := k.table("large pool over sockets", "connections", cpu("CPU of a start", "ms"),
		result.Metric{Name: "publications", Unit: "pickers", Lower: true}, result.Metric{Name: "dials", Note: true})
	srv, err := server.Start(server.Options{})
	if err != nil {
		return err
	}
	defer func() {
		if stopped := srv.Stop(); err == nil {
			err = stopped
		}
	}()
	s := shape{max(25, k.fewer(500)), 4}
	row := commas(s.subchannels())
	err = k.both(t, row, 3, func(policy string) (values, error) { return startOverSockets(policy, s, srv.Addr) })
	k.tell(t, row, "CPU of a start")
	return err
}

func startOverSockets(policy string, s shape, addr string) (v values, err error) {
	p, err := openSockets(policy, s, addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = p.cc.Close() }()
	start, err := spend(func(end time.Time) error {
		p.cc.Connect()
		return settle(end, afterSockets, p)
	})
	if err != nil {
		return nil, p.explain(err)
	}
	return values{
		"CPU of a start": millis(start),
		"publications":   float64(p.heard().published.Load()),
		"dials":          float64(p.dials.Load()),
	}, nil
}

// A socketPool is a channel whose endpoints are all one server.
type socketPool struct {
	cc     *grpc.ClientConn
	heard  func() *heard // nil until the policy is built
	want   int
	addr   string // the server's
	dials  atomic.Int64
	failed atomic.Pointer[error] // what the first dial that failed said
}

// openSockets has a channel with a policy as openScaled has it, which does not yet connect.
// The endpoints have names of their own, for to gRPC those with one name are one.
func openSockets(policy string, s shape, addr string) (*socketPool, error) {
	p := &socketPool{want: s.subchannels(), heard: heardBy(policy), addr: addr}
	js := "{}"
	if policy == ours {
		js = s.config(noneDue)
	} else {
		s = shape{s.subchannels(), 1}
	}
	var names scaledPool
	var endpoints []resolver.Endpoint
	for range s.endpoints {
		endpoints = append(endpoints, names.newEndpoint())
	}
	r := manual.NewBuilderWithScheme("large")
	r.InitialState(resolver.State{Endpoints: endpoints})
	var err error
	p.cc, err = grpc.NewClient("large:///pool", grpc.WithResolvers(r), grpc.WithContextDialer(p.dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(fmt.Sprintf(`{"loadBalancingConfig":[{%q:%s}]}`, hearing+policy, js)))
	return p, err
}

// dial goes to the server, whatever the endpoint is called.
func (p *socketPool) dial(ctx context.Context, _ string) (net.Conn, error) {
	p.dials.Add(1)
	c, err := new(net.Dialer).DialContext(ctx, "tcp", p.addr)
	if err != nil {
		p.failed.CompareAndSwap(nil, &err)
	}
	return c, err
}

func (p *socketPool) rests(since time.Time) bool {
	h := p.heard()
	return h != nil && h.ready.Load() == int64(p.want) && h.changedAt.Load() <= since.UnixNano()
}

// explain says how far a start got.
func (p *socketPool) explain(err error) error {
	if h := p.heard(); h != nil {
		err = fmt.Errorf("%w: %d READY after %d dials", err, h.ready.Load(), p.dials.Load())
	}
	if failed := p.failed.Load(); failed != nil {
		err = fmt.Errorf("%w, of which one failed: %w", err, *failed)
	}
	return err
}
