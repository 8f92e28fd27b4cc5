package worlds

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// One of four servers behind an address takes ten times as long. Its connections carry more RPCs
// at a time, so least_in_flight sends them fewer.
func TestAServerThatIsSlowGetsFewerRPCs(t *testing.T) {
	for _, tt := range []struct {
		rate  time.Duration
		share float64 // at most; a fair one is 0.25
	}{{3, 0.24}, {30, 0.1}, {300, 0.08}} {
		t.Run(fmt.Sprintf("%d RPC/s a connection", tt.rate), func(t *testing.T) {
			w := World{
				Servers: []Server{{}, {}, {Slow: 90 * ms}, {}}, Latency: ms, Dial: 10 * ms, Warm: sec, Setting: size(8),
				Callers: []Callers{{For: 600 * sec / tt.rate, Rate: 8 * float64(tt.rate), Takes: 10 * ms}},
			}
			f := w.play(t, w.pool(), 0)
			share := float64(f.shares[2]) / float64(f.rpcs)
			t.Logf("%.3f of %d RPCs", share, f.rpcs)
			require.LessOrEqual(t, share, tt.share)
		})
	}
}
