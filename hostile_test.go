package subpool_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// Frames of HTTP/2: RFC 9113, 6.
const (
	dataFrame = iota
	headersFrame
	_
	rstStreamFrame
	settingsFrame
	pushPromiseFrame
	pingFrame
	goAwayFrame
	windowUpdateFrame
	continuationFrame
	unknownFrame
)

func frame(kind, flags byte, stream uint32, payload ...byte) []byte {
	n := len(payload)
	head := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	return append(binary.BigEndian.AppendUint32(head, stream), payload...)
}

func uint32s(all ...uint32) (b []byte) {
	for _, n := range all {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

// limit is SETTINGS with a limit of streams.
func limit(n uint32) []byte {
	return frame(settingsFrame, 0, 0, append([]byte{0, 3}, uint32s(n)...)...)
}

var hello = frame(settingsFrame, 0, 0)

// A saying is what a hostile server says on one connection.
type saying struct {
	name string
	said []byte
}

func sayings() (all []saying) {
	add := func(said []byte, format string, args ...any) {
		name := fmt.Sprintf(format, args...)
		all = append(all, saying{name + " first", said}, saying{name + " later", append(bytes.Clone(hello), said...)})
	}
	random := rand.New(rand.NewPCG(6, 2))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	for n := range 101 {
		payload := append([]byte{0, 3, 0, 0, 0, 9}, noise(100)...)[:n]
		for _, flags := range []byte{0, 1, 255} {
			add(frame(settingsFrame, flags, 0, payload...), "SETTINGS of %d bytes, flags %d", n, flags)
		}
		add(frame(settingsFrame, 0, 1, payload...), "SETTINGS of %d bytes on a stream", n)
	}
	for _, n := range []uint32{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
		add(limit(n), "a limit of %d", n)
		add(append(limit(n), limit(0)...), "a limit of %d, then 0", n)
		add(frame(goAwayFrame, 0, 0, uint32s(n, 0)...), "GOAWAY up to %d", n)
		add(frame(goAwayFrame, 0, 0, uint32s(n, 11)...), "GOAWAY up to %d, for an error", n)
		// Where int has 32 bits gRPC itself panics of the largest window, without a pool too:
		// its writer makes an int of 65535 more.
		if n&^(1<<31) < 1<<31-1 || math.MaxInt > math.MaxInt32 {
			add(frame(windowUpdateFrame, 0, 0, uint32s(n)...), "a window of %d", n)
		}
		add(frame(rstStreamFrame, 0, n&^(1<<31), uint32s(0)...), "the end of stream %d", n)
		add(frame(headersFrame, 5, n&^(1<<31), 0x88), "headers of stream %d", n)
		add(frame(dataFrame, 1, n&^(1<<31), noise(50)...), "data of stream %d", n)
	}
	for kind := range byte(unknownFrame + 1) {
		for _, n := range []int{0, 1, 7, 9} {
			add(frame(kind, 0, 0, noise(n)...), "kind %d with %d bytes", kind, n)
		}
		add([]byte{255, 255, 255, kind, 0, 0, 0, 0, 0, 1, 2, 3}, "the begin of the largest frame of kind %d", kind)
	}
	for _, whole := range [][]byte{limit(5), frame(goAwayFrame, 0, 0, uint32s(1<<31-1, 0)...)} {
		for n := 1; n < len(whole); n++ {
			add(whole[:n], "%d bytes of a frame of kind %d", n, whole[3])
		}
	}
	for i := range 50 {
		add(noise(1+random.IntN(200)), "noise %d", i)
	}
	return all
}

// besideAHostileOne is a channel to two endpoints, of which one is hostile.
func besideAHostileOne(t *testing.T, settings string, good *harness.Server, bad *harness.HostileServer) *grpc.ClientConn {
	r := manual.NewBuilderWithScheme("two")
	r.InitialState(resolver.State{Addresses: []resolver.Address{{Addr: "good:443"}, {Addr: "bad:443"}}})
	cc, err := grpc.NewClient("two:///", append(good.DialOptions(harness.Policy(settings)), grpc.WithResolvers(r),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			if addr == "bad:443" {
				return bad.Dial(ctx, addr)
			}
			return good.Dial(ctx, good.Addr())
		}))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	cc.Connect()
	return cc
}

// atOnce makes that many RPCs side by side, and returns how many succeeded.
func atOnce(cc *grpc.ClientConn, n int, within time.Duration) int {
	var done atomic.Int32
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), within)
			defer cancel()
			if _, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(ctx, &grpc_testing.Empty{}); err == nil {
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return int(done.Load())
}

// Whatever one endpoint sends, and whether it then closes, or waits, or waits for ever:
// the RPCs that go to the other succeed, none outlives its deadline, and what is used
// up is given back. In virtual time, for most of it is backoff.
func TestNothingThatAServerSendsHurtsOtherEndpoints(t *testing.T) {
	all := sayings()
	synctest.Test(t, func(t *testing.T) {
		connected := make(chan int, 1)
		bad := &harness.HostileServer{Say: func(conn int, c io.Writer, gone <-chan struct{}) {
			i := conn - 1
			if i >= len(all) {
				<-gone
				return
			}
			connected <- i
			_, _ = c.Write(all[i].said)
			switch i / 2 % 3 { // each later and first
			case 0: // closes at once
			case 1:
				select {
				case <-gone:
				case <-time.After(3 * time.Second):
				}
			case 2:
				<-gone
			}
		}}
		bad.Start(t)
		good := harness.Start(t, harness.Options{})
		cc := besideAHostileOne(t, `{"size":2,"maxLifetime":"1m","unresponsiveTimeout":"2s","maxPending":20}`, good, bad)
		synctest.Wait() // or all RPCs may come when only the hostile one is connected
		begin := time.Now()
		least, said := 20, 0
		var before, after runtime.MemStats
		for said < len(all) {
			select {
			case <-connected:
				said++
				if said == 100 {
					runtime.GC()
					runtime.ReadMemStats(&before)
				}
			case <-time.After(time.Minute):
			}
			from := time.Now()
			least = min(least, atOnce(cc, 20, time.Second))
			require.LessOrEqual(t, time.Since(from), time.Second, "after %q", all[max(0, said-1)].name)
			require.GreaterOrEqual(t, least, 3, "of 20 RPCs, after %q", all[max(0, said-1)].name)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		require.Less(t, runtime.NumGoroutine(), 100)
		require.Less(t, int(after.HeapAlloc)-int(before.HeapAlloc), 4<<20)
		t.Logf("%d sayings in %v, of each 20 RPCs beside them %d or more succeeded; heap %+d KiB, %d goroutines",
			said, time.Since(begin).Round(time.Minute), least, (int(after.HeapAlloc)-int(before.HeapAlloc))/1024, runtime.NumGoroutine())
	})
}
