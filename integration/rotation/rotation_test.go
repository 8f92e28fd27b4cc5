package rotation

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/integration/internal/load"
	"github.com/grpc-subpool/subpool/internal/harness"
)

const size = 8

// Five rotations on sockets, with slow tokens, streams, and RPCs that wait for one of
// the streams that the server allows.
func TestBothCertificatesAreReplacedWhileRPCsRun(t *testing.T) {
	var server, client identity
	a := newAuthority(t, "a")
	rotate(t, a, &server, &client)
	forServer, forClient := mutual(a, &server, &client)
	s := serve(t, &service{takes: 50 * time.Millisecond, wantToken: true}, forServer,
		harness.Options{TCP: true, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(10)}})
	cc := s.NewClient(t, harness.Policy(`{"size":8,"maxLifetime":"1s"}`),
		grpc.WithTransportCredentials(forClient), grpc.WithPerRPCCredentials(slowToken{50 * time.Millisecond}))

	calls := load.Start(t, 100, 30*time.Second, func(ctx context.Context) error { return s.call(ctx, cc) })
	chats := load.Start(t, 8, 30*time.Second, func(ctx context.Context) error { return s.chat(ctx, cc, 5, 50*time.Millisecond) })
	require.Eventually(t, func() bool { return len(s.since(0)) >= size }, time.Minute, time.Millisecond)
	for range 5 {
		fresh, took := s.awaitTurn(t, rotate(t, a, &server, &client))
		t.Logf("rotation: all of %d connections on the new certificates, the old ones gone after %.1f lifetimes", fresh, took.Seconds())
	}
	rpcs, streams := calls.Stop(), chats.Stop()
	require.Empty(t, rpcs.Errors)
	require.Empty(t, streams.Errors)
	t.Logf("rotation: %s, the slowest took %.1f s; %s streams, %d failed; %d connections made",
		rpcs, rpcs.Slowest.Seconds(), load.Thousands(streams.RPCs), streams.Failed, s.Accepted())
}

// In virtual time a lifetime is exact: no connection that is older than the new
// certificates is left after one, but for the one that still carries a stream.
func TestAfterOneMaxLifetimeEveryConnectionUsesTheNewCertificates(t *testing.T) {
	const handler = 20 * time.Second
	synctest.Test(t, func(t *testing.T) {
		var server, client identity
		a := newAuthority(t, "a")
		rotate(t, a, &server, &client)
		forServer, forClient := mutual(a, &server, &client)
		s := serve(t, &service{takes: handler}, forServer, harness.Options{})
		cc := s.NewClient(t, harness.Policy(`{"size":8,"idleTimeout":"0s","maxLifetime":"1h"}`), grpc.WithTransportCredentials(forClient))
		calls := load.Start(t, 16, time.Minute, func(ctx context.Context) error { return s.call(ctx, cc) })
		time.Sleep(140 * time.Minute) // by now they are of all ages
		chats := load.Start(t, 1, 3*time.Hour, func(ctx context.Context) error { return s.chat(ctx, cc, 2, time.Hour) })
		time.Sleep(time.Minute)

		old := s.OpenConns()
		fresh := rotate(t, a, &server, &client)
		time.Sleep(time.Hour + handler + time.Second) // the last to be replaced still had RPCs
		require.Len(t, s.left(old), 1, "old connections: the stream's")
		chats.Stop() // waits for its end
		time.Sleep(handler + time.Second)
		require.Empty(t, s.left(old), "old connections")
		require.GreaterOrEqual(t, len(old), size)
		require.GreaterOrEqual(t, s.Open(), size)

		rpcs, streams := calls.Stop(), chats.Stop()
		require.Empty(t, rpcs.Errors)
		require.Empty(t, streams.Errors)
		made := s.since(slices.Max(old))
		require.GreaterOrEqual(t, len(made), size)
		for conn, e := range made {
			require.True(t, fresh(e), "connection %d", conn)
		}
		t.Logf("rotation, virtual time: %s, one stream of 2 h; of %d old connections 0 left, all %d since then on the new certificates", rpcs, len(old), len(made))
	})
}
