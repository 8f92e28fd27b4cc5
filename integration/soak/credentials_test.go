package soak

import (
	"context"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// linkCredentials are plaintext, and tell each RPC which link it was given.
type linkCredentials struct {
	credentials.TransportCredentials
}

func newLinkCredentials() credentials.TransportCredentials {
	return linkCredentials{insecure.NewCredentials()}
}

type linkInfo struct {
	credentials.CommonAuthInfo
	*link
}

func (linkInfo) AuthType() string { return "link" }

func (c linkCredentials) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, _, err := c.TransportCredentials.ClientHandshake(ctx, authority, raw)
	l, ok := raw.(*link)
	if err == nil && !ok {
		err = errors.New("soak: a connection that no backend made")
	}
	return conn, linkInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}, l}, err
}

func (c linkCredentials) Clone() credentials.TransportCredentials { return c }

// tracing notes on each RPC the links that it was given, before it has a stream
// there, and takes its time if the RPC says so: credentials are fetched between the
// pick and the stream.
type tracing struct{}

func (tracing) RequireTransportSecurity() bool { return false }

func (tracing) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	r, ok := ctx.Value(rpcKey{}).(*rpc)
	if !ok {
		return nil, nil // gRPC's health checking
	}
	info, _ := credentials.RequestInfoFromContext(ctx)
	r.attempt(info.AuthInfo.(linkInfo).link)
	if r.credentials > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(r.credentials):
		}
	}
	return nil, nil
}
