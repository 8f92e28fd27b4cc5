package servers

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A link leads connections to a server that is far away.
type link struct {
	server dialer
	delay  time.Duration // each way
	end    context.Context
}

// A dialer connects with a server.
type dialer func() (net.Conn, error)

func tcp(addr string) dialer  { return func() (net.Conn, error) { return net.Dial("tcp", addr) } }
func unix(path string) dialer { return func() (net.Conn, error) { return net.Dial("unix", path) } }

// startLink has a link until the test ends, when it closes what is open.
func startLink(t *testing.T, server dialer, delay time.Duration) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	end, stop := context.WithCancel(context.Background())
	k := link{server, delay, end}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { k.lead(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		stop()
		conns.Wait()
	})
	return l.Addr().String()
}

// lead connects a client with the server, until both ways have ended.
func (k link) lead(client net.Conn) {
	defer client.Close()
	server, err := k.server()
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(k.end, func() {
		_ = client.Close()
		_ = server.Close()
	})()
	var ways sync.WaitGroup
	ways.Go(func() { k.carry(server, client) })
	ways.Go(func() { k.carry(client, server) })
	ways.Wait()
}

type piece struct {
	data    []byte
	arrives time.Time
}

// carry delivers what from sends, in order and each piece after the delay; so the end, too.
func (k link) carry(to, from net.Conn) {
	underWay := make(chan piece, 1<<12) // more than a test sends in a delay
	go func() {
		defer close(underWay)
		for {
			data := make([]byte, 4<<10)
			n, err := from.Read(data)
			underWay <- piece{data[:n], time.Now().Add(k.delay)}
			if err != nil {
				return
			}
		}
	}()
	for p := range underWay {
		time.Sleep(time.Until(p.arrives))
		if _, err := to.Write(p.data); err != nil {
			_ = from.Close() // what it sends from here on has no receiver
		}
	}
	_ = to.(interface{ CloseWrite() error }).CloseWrite()
}
