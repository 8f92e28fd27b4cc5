package subpool_test

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// A server sends as fast as it can what the client has to read, and mostly has to
// answer. On real sockets, where h2conn reads in another way than in memory. The
// heap is looked at while that goes on.
func TestAFloodNeitherBloatsTheClientNorStopsOtherEndpoints(t *testing.T) {
	const frames = 100_000
	for _, flood := range []saying{
		{"SETTINGS", hello},
		{"limits that change", append(limit(1), limit(1000)...)},
		{"limits of nothing", append(limit(0), limit(1<<31-1)...)},
		{"acknowledgements", frame(settingsFrame, 1, 0)},
		{"long SETTINGS", frame(settingsFrame, 0, 0, bytes.Repeat(limit(7)[9:], 2000)...)},
		{"PING", frame(pingFrame, 0, 0, make([]byte, 8)...)},
		{"GOAWAY", frame(goAwayFrame, 0, 0, uint32s(1<<31-1, 0)...)},
		{"GOAWAY after one stream", frame(goAwayFrame, 0, 0, uint32s(1, 0)...)},
		{"long GOAWAY", frame(goAwayFrame, 0, 0, append(uint32s(1<<31-1, 0), make([]byte, 16000)...)...)},
		{"windows", frame(windowUpdateFrame, 0, 1, uint32s(1)...)},
		{"data of no stream", frame(dataFrame, 0, 99, make([]byte, 100)...)},
		{"ends of no stream", frame(rstStreamFrame, 0, 99, uint32s(0)...)},
		{"an unknown frame type", frame(unknownFrame, 0, 0, make([]byte, 1000)...)},
	} {
		t.Run(flood.name, func(t *testing.T) {
			var sent atomic.Int64
			chunk := bytes.Repeat(flood.said, max(1, 16_000/len(flood.said)))
			bad := &harness.HostileServer{TCP: true, Say: func(_ int, c io.Writer, gone <-chan struct{}) {
				_, err := c.Write(hello)
				for err == nil && sent.Load() < int64(min(frames*len(flood.said), 16<<20)) {
					var n int
					n, err = c.Write(chunk)
					sent.Add(int64(n))
				}
				<-gone
			}}
			bad.Start(t)
			good := harness.Start(t, harness.Options{TCP: true})
			heap, goroutines := inUse()
			cc := besideAHostileOne(t, `{"size":2,"maxPending":100}`, good, bad)
			for len(good.Calls()) < 2 { // the flood may be there before
				atOnce(cc, 20, 100*time.Millisecond)
			}
			most, rounds := heap, 0
			for last := int64(-1); last != sent.Load() || rounds < 20; rounds++ {
				last = sent.Load()
				atLeast(t, cc, 5, 20)
				now, running := inUse()
				most = max(most, now)
				require.Less(t, running, goroutines+100)
			}
			require.Less(t, most-heap, 16<<20, "bytes")
			require.LessOrEqual(t, bad.Dials(), 50)
			t.Logf("%d KiB sent on %d connections, heap %+d KiB at most, in %d rounds of RPCs beside it",
				sent.Load()/1024, bad.Dials(), (most-heap)/1024, rounds)
		})
	}
}

// atLeast makes that many RPCs side by side, and waits until so many have succeeded.
func atLeast(t *testing.T, cc *grpc.ClientConn, want, of int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ended := make(chan error, of)
	for range of {
		go func() {
			_, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(ctx, &grpc_testing.Empty{}, grpc.WaitForReady(true))
			ended <- err
		}()
	}
	succeeded := 0
	for range of {
		if err := <-ended; err == nil {
			if succeeded++; succeeded == want {
				cancel() // those that the flood has swallowed
			}
		}
	}
	require.GreaterOrEqual(t, succeeded, want)
}

func inUse() (heap, goroutines int) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc), runtime.NumGoroutine()
}
