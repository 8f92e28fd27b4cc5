package h2conn

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
)

type ofXDS struct {
	credentials.TransportCredentials
}

func (ofXDS) UsesXDS() bool { return true }

// gRPC asks the channel's credentials whether a control plane may secure them.
func TestCredentialsOfXDSStaySo(t *testing.T) {
	wrapped := Credentials(ofXDS{insecure.NewCredentials()})
	x, ok := wrapped.(xds)
	require.True(t, ok && x.UsesXDS())
	_, ok = Credentials(insecure.NewCredentials()).(xds)
	require.False(t, ok)
	require.True(t, isWrapping(wrapped))
	require.True(t, isWrapping(wrapped.Clone()))
	require.Equal(t, wrapped, Credentials(wrapped), "once is enough")
}

// gRPC's credentials for xDS take an address with attributes for one of a control
// plane, and crash (v1.80.0): the observer goes another way where it can.
func TestAnAddressGetsAnObserverOnlyWhereItMust(t *testing.T) {
	o, addr := NewObserver(nil), resolver.Address{Addr: "a:1"}
	var opts balancer.NewSubConnOptions
	require.Equal(t, addr, Wrap(o, &opts, balancer.BuildOptions{DialCreds: insecure.NewCredentials()}, addr))
	require.NotNil(t, opts.CredsBundle)
	opts = balancer.NewSubConnOptions{}
	require.NotEqual(t, addr, Wrap(o, &opts, balancer.BuildOptions{DialCreds: Credentials(insecure.NewCredentials())}, addr))
	require.Nil(t, opts.CredsBundle)
	require.Equal(t, addr, Wrap(o, &opts, balancer.BuildOptions{}, addr))
}
