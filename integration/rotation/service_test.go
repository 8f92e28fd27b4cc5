package rotation

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/internal/harness"
)

// ends are the certificates of a connection, each as the other end saw it.
type ends struct{ client, server *x509.Certificate }

// A service notes the certificates of each connection that carries an RPC.
type service struct {
	*harness.Server
	takes     time.Duration // each EmptyCall
	wantToken bool

	mu   sync.Mutex
	seen map[int]ends
}

// serve runs a server with these credentials.
func serve(t *testing.T, s *service, creds credentials.TransportCredentials, opts harness.Options) *service {
	s.seen = make(map[int]ends)
	opts.Handle = s.handle
	opts.Server = append(opts.Server, grpc.Creds(creds))
	s.Server = harness.Start(t, opts)
	return s
}

func (s *service) handle(ctx context.Context, conn int) error {
	if md, _ := metadata.FromIncomingContext(ctx); s.wantToken && len(md["authorization"]) != 1 {
		return status.Error(codes.Unauthenticated, "no token")
	}
	p, _ := peer.FromContext(ctx)
	s.note(conn, func(e *ends) { e.client = certificateOf(p) })
	time.Sleep(s.takes)
	return grpc.SetHeader(ctx, metadata.Pairs("connection", strconv.Itoa(conn)))
}

// call makes an EmptyCall, and notes which certificate the client was shown.
func (s *service) call(ctx context.Context, cc grpc.ClientConnInterface, opts ...grpc.CallOption) error {
	var p peer.Peer
	var header metadata.MD
	opts = append(opts, grpc.Peer(&p), grpc.Header(&header))
	if _, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(ctx, &grpc_testing.Empty{}, opts...); err != nil {
		return err
	}
	conn, err := strconv.Atoi(header["connection"][0])
	s.note(conn, func(e *ends) { e.server = certificateOf(&p) })
	return err
}

// chat opens a stream, sends n messages, each a while after the answer to the last, and
// ends it.
func (s *service) chat(ctx context.Context, cc grpc.ClientConnInterface, n int, pause time.Duration, opts ...grpc.CallOption) error {
	stream, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(ctx, opts...)
	if err != nil {
		return err
	}
	message := &grpc_testing.StreamingOutputCallRequest{ResponseParameters: []*grpc_testing.ResponseParameters{{Size: 1}}}
	for range n {
		if err := stream.Send(message); err != nil && !errors.Is(err, io.EOF) { // of EOF Recv knows why
			return err
		}
		if _, err := stream.Recv(); err != nil {
			return err
		}
		time.Sleep(pause)
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func certificateOf(p *peer.Peer) *x509.Certificate {
	return p.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0]
}

func (s *service) note(conn int, what func(*ends)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.seen[conn]
	what(&e)
	s.seen[conn] = e
}

// awaitTurn waits until every connection that the server has accepted so far is gone, and
// as many as the policy says have carried RPCs since. These shook hands after the call,
// so all of them must be what is wanted. It returns how many they are, and how long the
// old ones took.
func (s *service) awaitTurn(t *testing.T, want func(ends) bool) (fresh int, took time.Duration) {
	t.Helper()
	began, last := time.Now(), s.Accepted()
	require.Eventually(t, func() bool {
		open := s.OpenConns()
		return len(open) > 0 && open[0] > last
	}, time.Minute, time.Millisecond, "old connections")
	took = time.Since(began)
	require.Eventually(t, func() bool { return len(s.since(last)) >= size }, time.Minute, time.Millisecond, "new connections")
	for conn, e := range s.since(last) {
		require.True(t, want(e), "connection %d", conn)
		fresh++
	}
	return fresh, took
}

// since returns the certificates of the connections with higher numbers, as far as both
// ends are known: of those that carried an RPC.
func (s *service) since(last int) map[int]ends {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := maps.Clone(s.seen)
	maps.DeleteFunc(seen, func(conn int, e ends) bool { return conn <= last || e.client == nil || e.server == nil })
	return seen
}

// left are those of these connections that are still open.
func (s *service) left(conns []int) (left []int) {
	open := s.OpenConns()
	for _, c := range conns {
		if slices.Contains(open, c) {
			left = append(left, c)
		}
	}
	return left
}

// An identity is a certificate that can be replaced.
type identity struct {
	atomic.Pointer[tls.Certificate]
}

func (i *identity) forServer(*tls.ClientHelloInfo) (*tls.Certificate, error) { return i.Load(), nil }

func (i *identity) forClient(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return i.Load(), nil
}

// rotate replaces both certificates, and returns what a connection has that uses them.
func rotate(t *testing.T, a *authority, server, client *identity) func(ends) bool {
	server.Store(a.issue(t))
	client.Store(a.issue(t))
	want := ends{client: client.Load().Leaf, server: server.Load().Leaf}
	return func(e ends) bool { return e.client.Equal(want.client) && e.server.Equal(want.server) }
}

// mutual are the credentials of both ends, each of which asks for the other's.
func mutual(a *authority, server, client *identity) (forServer, forClient credentials.TransportCredentials) {
	forServer = credentials.NewTLS(&tls.Config{
		GetCertificate: server.forServer,
		ClientAuth:     tls.RequireAndVerifyClientCert,
		ClientCAs:      pool(a),
	})
	forClient = credentials.NewTLS(&tls.Config{
		GetClientCertificate: client.forClient,
		RootCAs:              pool(a),
		ServerName:           "svc.example.com",
	})
	return forServer, forClient
}
