package server

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/bench/child"
)

func TestMain(m *testing.M) {
	child.Main(map[string]child.Role{"server": Role})
	os.Exit(m.Run())
}

// In virtual time, so that the times are exact: 1,000 bytes at 10,000 a second.
func TestALinkDelaysAndBoundsEachDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		server := Link{Delay: 20 * time.Millisecond, Rate: 10_000, Buffer: 1000}.fit(far, new(turns))
		defer server.Close()
		defer near.Close()
		for _, way := range []struct{ from, to net.Conn }{{near, server}, {server, near}} {
			began := time.Now()
			go func() { _, _ = way.from.Write(make([]byte, 1000)) }()
			_, err := io.ReadFull(way.to, make([]byte, 1000))
			require.NoError(t, err)
			require.Equal(t, 120*time.Millisecond, time.Since(began))
			synctest.Wait()
		}
	})
}

func TestConnectionsTakeTurnsOnASharedLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := Link{Delay: 20 * time.Millisecond, Rate: 10_000, Buffer: 4000, Shared: true}
		shared := new(turns)
		began := time.Now()
		var arrived [2]time.Duration
		var clients sync.WaitGroup
		for i := range arrived {
			near, far := net.Pipe()
			server := k.fit(far, shared)
			defer near.Close()
			defer server.Close()
			_, err := server.Write(make([]byte, 1000))
			require.NoError(t, err)
			clients.Go(func() {
				_, _ = io.ReadFull(near, make([]byte, 1000))
				arrived[i] = time.Since(began)
			})
		}
		clients.Wait()
		require.Equal(t, [2]time.Duration{120 * time.Millisecond, 220 * time.Millisecond}, arrived)
	})
}

func TestAWriterIsHeldUpByAFullBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		server := Link{Delay: time.Second, Rate: 10_000, Buffer: 1000}.fit(far, new(turns))
		defer server.Close()
		defer near.Close()
		go func() { _, _ = io.Copy(io.Discard, near) }()
		began := time.Now()
		_, err := server.Write(make([]byte, 1000))
		require.NoError(t, err)
		require.Zero(t, time.Since(began), "the buffer takes it")
		_, err = server.Write(make([]byte, 500))
		require.NoError(t, err)
		require.Equal(t, 50*time.Millisecond, time.Since(began), "as much has to leave first")
	})
}

func TestAClosedLinkEndsItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		server := Link{Delay: time.Second, Rate: 10_000, Buffer: 1000}.fit(far, new(turns))
		go func() { _ = server.Close() }()
		_, err := server.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		_, err = server.Write([]byte{1})
		require.Equal(t, io.ErrClosedPipe, err)
		_ = near.Close()
	})
}

func TestAServerInAProcessOfItsOwnTellsItsUsageAndGoesDark(t *testing.T) {
	p, err := Start(Options{Darkens: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Stop()) }()
	call := func(cc *grpc.ClientConn, d time.Duration) codes.Code {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		_, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(ctx, &grpc_testing.Empty{}, grpc.WaitForReady(true))
		return status.Code(err)
	}
	var ccs []*grpc.ClientConn
	for i := range 2 {
		cc, err := grpc.NewClient("passthrough:///"+p.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		defer cc.Close()
		require.Equal(t, codes.OK, call(cc, 20*time.Second))
		require.NoError(t, p.Await(i+1))
		ccs = append(ccs, cc)
	}
	u, err := p.Usage()
	require.NoError(t, err)
	require.Equal(t, 2, u.Accepted)
	require.Positive(t, u.CPU)

	require.NoError(t, p.Darken())
	require.Equal(t, codes.DeadlineExceeded, call(ccs[0], 50*time.Millisecond), "the older one")
	require.Equal(t, codes.OK, call(ccs[1], 20*time.Second))
}

func TestARoleThatFailsIsAnErrorOfItsParent(t *testing.T) {
	c, err := child.Start("unknown", nil)
	require.NoError(t, err)
	require.Error(t, c.Ask("", new(string)))
	require.Error(t, c.Stop())
}
