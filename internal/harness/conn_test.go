package harness

import (
	"bytes"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// sink is a connection that keeps what is written.
type sink struct {
	net.Conn
	all bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) { return s.all.Write(p) }

func TestAFrameIsSaidBetweenTwoOfTheServersOwn(t *testing.T) {
	first, second := frame(4, 0, 0, make([]byte, 6)), frame(1, 4, 1, make([]byte, 20))
	own := append(bytes.Clone(first), second...)
	for at := 1; at < len(own); at++ {
		for piece := 1; piece <= len(own); piece++ {
			out := new(sink)
			c := &conn{Conn: out}
			for n := 0; n < len(own); n += piece {
				if n < at && at <= n+piece {
					require.NoError(t, c.say(GoAwayFrame))
				}
				p := own[n:min(n+piece, len(own))]
				wrote, err := c.Write(p)
				require.NoError(t, err)
				require.Equal(t, len(p), wrote)
			}
			require.Contains(t, []string{
				string(first) + string(GoAwayFrame) + string(second),
				string(first) + string(second) + string(GoAwayFrame),
			}, out.all.String(), "said at %d, in pieces of %d", at, piece)
		}
	}
}
