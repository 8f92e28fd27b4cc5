package workload

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	_ "google.golang.org/grpc/balancer/leastrequest" // registers least_request_experimental
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
	"github.com/grpc-subpool/subpool/internal/harness"
)

var pick = Kind{
	Key:   "i",
	Title: "The pick alone",
	About: "Pick and Done on the pickers that the policies really publish with 16 READY connections, and nothing else. " +
		"gRPC's own policies have them to as many addresses, for of copies of one they make one connection. " +
		"A slice in which the machine gave less than 0.8 of the processors that the threads can use is repeated, ten times at most.",
	run: runPick,
}

// What picks, and the policy that does.
var pickers = []struct{ name, policy string }{
	{"round_robin", `{"round_robin":{}}`},
	{"least_request", `{"least_request_experimental":{}}`},
	{"grpcgcp", `{"grpc_gcp":{"channelPool":{"minSize":16,"maxSize":16}}}`},
	{"subpool, round_robin", `{"subpool":{"size":16,"picker":"round_robin"}}`},
	{"subpool", `{"subpool":{"size":16}}`},
}

const pickConnections = 16

func runPick(r *Run, w *result.Workload) error {
	t := &result.Table{
		Name: "pick", RowName: "threads", Base: "round_robin",
		Metrics: []result.Metric{{Name: "time", Unit: "ns a pick", Lower: true}, {Name: "allocations", Unit: "a pick", Lower: true}},
		Plots:   []result.Plot{{Metric: "time", Title: "Pick and Done, 16 connections"}},
	}
	w.Tables = append(w.Tables, t)
	all, err := openPickers()
	if err != nil {
		return err
	}
	defer all.close()
	for _, threads := range []int{1, 2, 8} {
		var sides []side
		for i, p := range pickers {
			sides = append(sides, side{strconv.Itoa(threads), p.name, func(int) (values, error) {
				return values{
					"time":        r.timePicks(all.pickers[i], threads),
					"allocations": testing.AllocsPerRun(1000, func() { pickOnce(all.pickers[i]) }),
				}, nil
			}})
		}
		if err := r.alternate(t, 31, sides...); err != nil {
			return err
		}
	}
	for _, threads := range []string{"2", "8"} {
		for _, bound := range []struct {
			against string
			most    float64
		}{{"round_robin", 1}, {"least_request", 0.3}, {"grpcgcp", 0.15}} {
			w.Verdicts = append(w.Verdicts, result.AtMost(fmt.Sprintf("time of a pick with %s threads, against %s", threads, bound.against),
				t.Ratio(threads, "subpool", bound.against, "time"), bound.most, " ×"))
		}
	}
	w.Verdicts = append(w.Verdicts, result.AtMost("allocations of a pick", result.StatOf(t.Values("2", "subpool", "allocations")), 0, ""))
	return nil
}

func pickOnce(p balancer.Picker) {
	res, err := p.Pick(balancer.PickInfo{FullMethodName: "/grpc.testing.TestService/EmptyCall", Ctx: context.Background()})
	if err != nil {
		panic(fmt.Sprintf("a picker with %d READY connections: %v", pickConnections, err))
	}
	if res.Done != nil {
		res.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
	}
}

// timePicks returns the ns of a pick while so many threads pick. A slice in which the
// machine had a processor less to give is tried again: threads that take turns do not meet
// in a word, which is what is measured here.
func (r *Run) timePicks(p balancer.Picker, threads int) (ns float64) {
	parallel := 0.8 * float64(min(threads, runtime.NumCPU()))
	for range 10 {
		began, before := time.Now(), server.CPU()
		ns = r.timeOnce(p, threads)
		if float64(server.CPU()-before) >= parallel*float64(time.Since(began)) {
			break
		}
	}
	return ns
}

func (r *Run) timeOnce(p balancer.Picker, threads int) float64 {
	const batch = 500 // picks between two looks whether it is over
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	var over atomic.Bool
	var picks atomic.Int64
	var running sync.WaitGroup
	began := time.Now()
	for range threads {
		running.Go(func() {
			mine := int64(0)
			for !over.Load() {
				for range batch {
					pickOnce(p)
				}
				mine += batch
			}
			picks.Add(mine)
		})
	}
	time.Sleep(r.lasts(20 * time.Millisecond))
	over.Store(true)
	running.Wait()
	return float64(time.Since(began).Nanoseconds()) / float64(max(1, picks.Load()))
}

// published are the channels of the policies, and their pickers.
type published struct {
	server   *grpc.Server
	channels []*grpc.ClientConn
	pickers  []balancer.Picker
}

func (p *published) close() {
	for _, cc := range p.channels {
		_ = cc.Close()
	}
	p.server.Stop()
}

// openPickers connects a channel of each policy. The server may be this process's, for
// nothing is sent to it.
func openPickers() (*published, error) {
	p := &published{server: grpc.NewServer()}
	var addresses []resolver.Address
	for range pickConnections {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		go func() { _ = p.server.Serve(l) }()
		addresses = append(addresses, resolver.Address{Addr: l.Addr().String()})
	}
	for _, policy := range pickers {
		if err := p.open(policy.policy, addresses); err != nil {
			p.close()
			return nil, fmt.Errorf("%s: %w", policy.name, err)
		}
	}
	return p, nil
}

func (p *published) open(policy string, addresses []resolver.Address) error {
	if strings.Contains(policy, "subpool") || strings.Contains(policy, "grpc_gcp") {
		addresses = addresses[:1]
	}
	parents++
	parent := harness.Parent(fmt.Sprint("pick_", parents))
	r := manual.NewBuilderWithScheme("pick")
	r.InitialState(resolver.State{Addresses: addresses})
	cc, err := grpc.NewClient("pick:///", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithResolvers(r), grpc.WithDefaultServiceConfig(parent.Policy(policy)))
	if err != nil {
		return err
	}
	p.channels = append(p.channels, cc)
	cc.Connect()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if picker := parent.Picker(); picker != nil && spreads(picker) {
			p.pickers = append(p.pickers, picker)
			return nil
		}
	}
	return fmt.Errorf("no picker with %d connections", pickConnections)
}

// parents gives each policy that is registered a name of its own.
var parents int

// spreads reports whether p picks all connections. The RPCs stay open meanwhile, so that
// it finds those that are in use less.
func spreads(p balancer.Picker) bool {
	seen := make(map[balancer.SubConn]bool)
	for range 40 * pickConnections {
		res, err := p.Pick(balancer.PickInfo{Ctx: context.Background()})
		if err != nil {
			return false
		}
		if res.Done != nil {
			defer res.Done(balancer.DoneInfo{})
		}
		seen[res.SubConn] = true
	}
	return len(seen) == pickConnections
}
