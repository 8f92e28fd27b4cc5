package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
	"github.com/grpc-subpool/subpool/inspect"
)

// A channel has so many connections to each server address.
type channel struct {
	size int
	cc   *grpc.ClientConn
}

func (s security) credentials() (credentials.TransportCredentials, error) {
	if s.plaintext {
		return insecure.NewCredentials(), nil
	}
	c := &tls.Config{ServerName: s.serverName, InsecureSkipVerify: s.insecure, MinVersion: tls.VersionTLS12} //nolint:gosec // if the user says so
	if s.cacert != "" {
		pem, err := os.ReadFile(s.cacert)
		if err != nil {
			return nil, cli.Bad("-cacert: %v", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, cli.Bad("-cacert: %s has no certificate in PEM", s.cacert)
		}
	}
	if s.cert != "" {
		pair, err := tls.LoadX509KeyPair(s.cert, s.key)
		if err != nil {
			return nil, cli.Bad("-cert, -key: %v", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(c), nil
}

// open makes a channel for each size. None connects yet.
func open(o options) (all []*channel, err error) {
	creds, err := o.security.credentials()
	if err != nil {
		return nil, err
	}
	for _, size := range o.sizes {
		c := subpool.DefaultConfig()
		c.MinSize, c.MaxSize = size, size
		c.IdleTimeout, c.MaxLifetime = 0, 0 // nothing is replaced while it is measured
		dial := []grpc.DialOption{
			grpc.WithTransportCredentials(creds),
			grpc.WithDefaultServiceConfig(c.ServiceConfig()),
			grpc.WithDisableServiceConfig(), // a resolver's would replace it
			grpc.WithIdleTimeout(0),
			grpc.WithUserAgent("subpool-probe"),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)),
		}
		if o.security.authority != "" {
			dial = append(dial, grpc.WithAuthority(o.security.authority))
		}
		cc, err := grpc.NewClient(o.target, dial...)
		if err != nil {
			closeAll(all)
			return nil, cli.Bad("TARGET: %v", err)
		}
		all = append(all, &channel{size, cc})
	}
	return all, nil
}

func closeAll(channels []*channel) {
	for _, c := range channels {
		c.cc.Close()
	}
}

// pool is what the channel's pool is now.
func (c *channel) pool() (inspect.Pool, bool) {
	for _, h := range subpool.Pools() {
		if p, ok := h.Snapshot(); ok && p.Settings.MaxSize == c.size {
			return p, true
		}
	}
	return inspect.Pool{}, false
}

// patience is how long it waits for more connections when there are some.
const patience = 3 * time.Second

// connect waits until all connections are there, or no more come.
func (c *channel) connect(ctx context.Context) error {
	c.cc.Connect()
	ready, since := 0, time.Now()
	for {
		if p, ok := c.pool(); ok {
			n, all := connections(p)
			if n > ready {
				ready, since = n, time.Now()
			}
			if n == all && n > 0 || ready > 0 && time.Since(since) > patience {
				return nil
			}
			if p.Error != "" && n == 0 {
				return fmt.Errorf("cannot be reached: %s", p.Error)
			}
		}
		select {
		case <-ctx.Done():
			if ready > 0 {
				return nil
			}
			return fmt.Errorf("cannot be reached: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// connections are those that are ready, and all that there should be.
func connections(p inspect.Pool) (ready, all int) {
	for _, e := range p.Endpoints {
		all += e.MaxSize
		for _, s := range e.Subchannels {
			if s.State == "ready" {
				ready++
			}
		}
	}
	return ready, all
}

// limit is the lowest number of streams that a connection allows, -1 without one.
func limit(p inspect.Pool) int {
	lowest := -1
	for _, e := range p.Endpoints {
		if e.Limit >= 0 && (lowest < 0 || e.Limit < lowest) {
			lowest = e.Limit
		}
	}
	return lowest
}
