package path

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestALineDelaysPacketsAndDropsThoseThatFindNoRoom(t *testing.T) {
	now := time.Unix(0, 0)
	c := newCarrier(Line{Delay: 30 * time.Millisecond, Rate: 10_000, Buffer: 250}, nil, nil)
	for i, arrives := range []time.Duration{40 * time.Millisecond, 50 * time.Millisecond, 0, 60 * time.Millisecond} {
		if i == 3 {
			now = now.Add(10 * time.Millisecond)
		}
		p, ok := c.send(make([]byte, 100), now)
		require.Equal(t, arrives > 0, ok, "packet %d", i)
		if ok {
			require.Equal(t, time.Unix(0, 0).Add(arrives), p.arrives, "packet %d", i)
		}
	}
}

func TestALineLosesWhatItIsToldTo(t *testing.T) {
	c := newCarrier(Line{Rate: 1e9, Buffer: 1 << 20, Loss: 0.03}, nil, nil)
	lost := 0
	for i := range 100_000 {
		if _, ok := c.send([]byte{0}, time.Unix(int64(i), 0)); !ok {
			lost++
		}
	}
	require.InDelta(t, 3000, lost, 400) // more than seven standard deviations
}

// Both stacks are the kernel's: what is lost on the way arrives all the same.
func TestBytesCrossALossyPathAfterItsDelay(t *testing.T) {
	p, err := New(Line{Delay: 5 * time.Millisecond, Rate: 10e6, Buffer: 1 << 20, Loss: 0.02})
	if errors.Is(err, ErrUnavailable) {
		t.Skip(err)
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	var l net.Listener
	require.NoError(t, p.AtServer(func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(ServerHost, "0"))
		return err
	}))
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			defer conn.Close()
			_, _ = io.Copy(conn, conn)
		}
	}()
	began := time.Now()
	conn, err := p.Dial(context.Background(), l.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.GreaterOrEqual(t, time.Since(began), 10*time.Millisecond, "SYN and its answer")
	sent := bytes.Repeat([]byte("12345678"), 20_000)
	go func() { _, _ = conn.Write(sent) }()
	got := make([]byte, len(sent))
	_, err = io.ReadFull(conn, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(sent, got))
}
