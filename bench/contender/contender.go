// Package contender holds what a user may pick to reach one server: each behind the
// same small interface, which is the one that gRPC's stubs take.
package contender

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
)

// A Pool carries the RPCs to one server.
type Pool interface {
	grpc.ClientConnInterface
	Close() error
}

// Settings are what a pool is made for. A contender takes of them what it knows.
type Settings struct {
	Addr         string
	Min, Max     int           // connections
	Streams      int           // on a connection, that call for another; 0 is the contender's default
	Unresponsive time.Duration // silence after which a connection is given up; 0 is never
	MaxLifetime  time.Duration // of a connection; 0 is for ever
	Options      []grpc.DialOption
}

// A Contender makes pools.
type Contender struct {
	Name string
	Open func(Settings) (Pool, error)
	// Grows says that a pool begins with Min connections; else it has Max at once.
	Grows bool
	// Single says that there is only one connection, whatever the settings say.
	Single bool
}

// All of them.
var (
	Plain    = Contender{Name: "plain channel", Open: openPlain, Single: true}
	Channels = Contender{Name: "N channels", Open: openChannels}
	GCP      = Contender{Name: "grpcgcp", Open: openGCP, Grows: true}
	Lending  = Contender{Name: "lending pool", Open: openLending, Grows: true}
	Sharing  = Contender{Name: "sharing pool", Open: openSharing, Grows: true}
	Subpool  = Contender{Name: "subpool", Open: openSubpool, Grows: true}
)

// Named returns c under another name, to be measured with other settings.
func (c Contender) Named(name string) Contender {
	c.Name = name
	return c
}

// Connections is how many a new pool opens.
func (c Contender) Connections(s Settings) int {
	switch {
	case c.Single:
		return 1
	case c.Grows:
		return s.Min
	}
	return s.Max
}

// dial makes a channel and has it connect.
func dial(s Settings, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	all := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	cc, err := grpc.NewClient("passthrough:///"+s.Addr, append(append(all, s.Options...), opts...)...)
	if err != nil {
		return nil, err
	}
	cc.Connect()
	return cc, nil
}

// awaitReady waits until cc has a connection.
func awaitReady(cc *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for state := cc.GetState(); state != connectivity.Ready; state = cc.GetState() {
		if !cc.WaitForStateChange(ctx, state) {
			return fmt.Errorf("%s is %v, must be READY", cc.Target(), state)
		}
	}
	return nil
}

// dialReady makes a channel that is READY.
func dialReady(s Settings, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	cc, err := dial(s, opts...)
	if err != nil {
		return nil, err
	}
	if err := awaitReady(cc); err != nil {
		_ = cc.Close()
		return nil, err
	}
	return cc, nil
}

// closeAll closes channels, and returns err, the reason.
func closeAll(ccs []*grpc.ClientConn, err error) error {
	for _, cc := range ccs {
		_ = cc.Close()
	}
	return err
}
