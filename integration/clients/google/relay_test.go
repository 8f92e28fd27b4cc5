package google

import (
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// What the recipes take for given.
var (
	pool  = harness.Policy(harness.Renewing)
	creds = grpc.WithTransportCredentials(insecure.NewCredentials())
)

// A relay stands before a fake server and counts the connections to it.
type relay struct {
	net.Listener
	accepted atomic.Int32
}

func startRelay(t *testing.T, server string) *relay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			r.accepted.Add(1)
			go pass(near, server)
		}
	}()
	return r
}

// pass hands on what comes from both sides until one of them ends.
func pass(near net.Conn, server string) {
	defer near.Close()
	far, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer far.Close()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(way[0], way[1])
			ended <- struct{}{}
		}()
	}
	<-ended
}

func (r *relay) address() string  { return r.Addr().String() }
func (r *relay) connections() int { return int(r.accepted.Load()) }
