package rotation

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/tls/certprovider"
	"google.golang.org/grpc/credentials/tls/certprovider/pemfile"
	"google.golang.org/grpc/security/advancedtls"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/integration/internal/load"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// files are what one end reads: its certificate, its key, and the authorities that it
// trusts. gRPC's own provider watches them.
type files struct {
	dir string
	certprovider.Provider
}

func newFiles(t *testing.T, cert *tls.Certificate, trusted ...*authority) *files {
	f := &files{dir: t.TempDir()}
	f.identify(t, cert)
	f.trust(t, trusted...)
	var err error
	f.Provider, err = pemfile.NewProvider(pemfile.Options{
		CertFile:        filepath.Join(f.dir, "cert.pem"),
		KeyFile:         filepath.Join(f.dir, "key.pem"),
		RootFile:        filepath.Join(f.dir, "roots.pem"),
		RefreshDuration: 10 * time.Millisecond,
	})
	require.NoError(t, err)
	t.Cleanup(f.Close)
	return f
}

func (f *files) identify(t *testing.T, cert *tls.Certificate) {
	certPEM, keyPEM := encode(t, cert)
	f.write(t, "cert.pem", certPEM)
	f.write(t, "key.pem", keyPEM)
}

func (f *files) trust(t *testing.T, trusted ...*authority) {
	var roots []byte
	for _, a := range trusted {
		roots = append(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})...)
	}
	f.write(t, "roots.pem", roots)
}

// write replaces a file whole, so that it is never read in half.
func (f *files) write(t *testing.T, name string, content []byte) {
	next := filepath.Join(f.dir, "next")
	require.NoError(t, os.WriteFile(next, content, 0o600))
	require.NoError(t, os.Rename(next, filepath.Join(f.dir, name)))
}

// awaitRead waits until f is used as it is: with a certificate of issuer, and this trust.
func (f *files) awaitRead(t *testing.T, issuer *authority, trusted ...*authority) {
	require.Eventually(t, func() bool {
		m, err := f.KeyMaterial(t.Context())
		require.NoError(t, err)
		return issuedBy(issuer, parse(t, m.Certs[0])) && m.Roots.Equal(pool(trusted...))
	}, time.Minute, time.Millisecond)
}

func parse(t *testing.T, cert tls.Certificate) *x509.Certificate {
	c, err := x509.ParseCertificate(cert.Certificate[0])
	require.NoError(t, err)
	return c
}

func issuedBy(a *authority, cert *x509.Certificate) bool {
	return cert.CheckSignatureFrom(a.cert) == nil
}

func (f *files) forServer(t *testing.T) credentials.TransportCredentials {
	creds, err := advancedtls.NewServerCreds(&advancedtls.Options{
		IdentityOptions:   advancedtls.IdentityCertificateOptions{IdentityProvider: f},
		RootOptions:       advancedtls.RootCertificateOptions{RootProvider: f},
		RequireClientCert: true,
		VerificationType:  advancedtls.CertVerification,
	})
	require.NoError(t, err)
	return creds
}

func (f *files) forClient(t *testing.T) credentials.TransportCredentials {
	creds, err := advancedtls.NewClientCreds(&advancedtls.Options{
		IdentityOptions: advancedtls.IdentityCertificateOptions{IdentityProvider: f},
		RootOptions:     advancedtls.RootCertificateOptions{RootProvider: f},
	})
	require.NoError(t, err)
	return creds
}

// The way of operators: trust the new authority beside the old one, issue from the new
// one, trust the new one alone. Only then is a connection of the old days refused, and
// by then there is none.
func TestAnAuthorityIsReplacedWhileRPCsRun(t *testing.T) {
	a, b := newAuthority(t, "a"), newAuthority(t, "b")
	server, client := newFiles(t, a.issue(t), a), newFiles(t, a.issue(t), a)
	s := serve(t, &service{takes: 20 * time.Millisecond}, server.forServer(t), harness.Options{TCP: true})
	cc := s.NewClient(t, harness.Policy(`{"size":8,"maxLifetime":"0.5s"}`), grpc.WithTransportCredentials(client.forClient(t)))
	calls := load.Start(t, 16, 30*time.Second, func(ctx context.Context) error { return s.call(ctx, cc) })

	of := func(issuer *authority) func(ends) bool {
		return func(e ends) bool { return issuedBy(issuer, e.client) && issuedBy(issuer, e.server) }
	}
	both := func(change func(*files)) { change(server); change(client) }

	both(func(f *files) { f.trust(t, a, b) })
	both(func(f *files) { f.awaitRead(t, a, a, b) })
	s.awaitTurn(t, of(a))
	both(func(f *files) { f.identify(t, b.issue(t)) })
	both(func(f *files) { f.awaitRead(t, b, a, b) })
	s.awaitTurn(t, of(b))
	both(func(f *files) { f.trust(t, b) })
	both(func(f *files) { f.awaitRead(t, b, b) })
	fresh, _ := s.awaitTurn(t, of(b))

	rpcs := calls.Stop()
	require.Empty(t, rpcs.Errors)
	t.Logf("rollover: %s, in the end all of %d connections on certificates of the new authority, %d connections made", rpcs, fresh, s.Accepted())

	stale := newFiles(t, a.issue(t), a, b)
	refused := s.NewClient(t, harness.Policy(`{"size":8}`), grpc.WithTransportCredentials(stale.forClient(t)))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := s.call(ctx, refused)
	require.Equal(t, codes.Unavailable, status.Code(err), err)
}
