package probe

import (
	"bytes"
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"

	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
)

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// onlyService returns one of the services that reflection.Register would register.
func onlyService(t *testing.T, name string) (*grpc.ServiceDesc, any) {
	var r registrar
	reflection.Register(&r)
	for i, d := range r.services {
		if d.ServiceName == name {
			return d, r.implementations[i]
		}
	}
	t.Fatal("there is no ", name)
	return nil, nil
}

type registrar struct {
	services        []*grpc.ServiceDesc
	implementations []any
}

func (r *registrar) RegisterService(d *grpc.ServiceDesc, implementation any) {
	r.services = append(r.services, d)
	r.implementations = append(r.implementations, implementation)
}

func (r *registrar) GetServiceInfo() map[string]grpc.ServiceInfo {
	info := map[string]grpc.ServiceInfo{"grpc.testing.TestService": {Metadata: "grpc/testing/test.proto"}}
	for _, d := range r.services {
		info[d.ServiceName] = grpc.ServiceInfo{Metadata: d.Metadata}
	}
	return info
}

func TestFlagsAreThoseOfGrpcurl(t *testing.T) {
	o, err := parse([]string{
		"-plaintext", "-authority", "a.example", "-H", "Authorization: Bearer x:y", "-H", "data-bin: AAE=", "-max-time", "2.5", "-connect-timeout", "500ms",
		"-d", "@", "localhost:1", "shop.Cart.Get", "-c", "240", "-connections", "4, 1,4",
	}, cli.IO{In: bytes.NewBufferString("{}")})
	require.NoError(t, err)
	assert.Equal(t, "localhost:1", o.target)
	assert.Equal(t, "shop.Cart/Get", o.method)
	assert.Equal(t, "{}", o.data)
	assert.Equal(t, []string{"Bearer x:y"}, o.headers.Get("authorization"))
	assert.Equal(t, []string{"\x00\x01"}, o.headers.Get("data-bin"))
	assert.Equal(t, 2500*time.Millisecond, o.maxTime)
	assert.Equal(t, 500*time.Millisecond, o.connectTimeout)
	assert.Equal(t, 240, o.inFlight)
	assert.Equal(t, []int{1, 4}, o.sizes)
	assert.Equal(t, security{plaintext: true, authority: "a.example"}, o.security)
}

func TestOptionsThatAreWrongSayWhatIs(t *testing.T) {
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"0 arguments, must be TARGET and METHOD, or TARGET alone", nil},
		{"3 arguments, must be TARGET and METHOD, or TARGET alone", []string{"h:1", "s/m", "x"}},
		{"TARGET: empty, must be host:port or a gRPC target", []string{""}},
		{`TARGET: "subpool:///h:1?size=8", must be without subpool:/// and settings: probe sets its own`, []string{"subpool:///h:1?size=8"}},
		{`METHOD: "Get", must be like package.Service/Method`, []string{"h:1", "Get"}},
		{`METHOD: "a/b/c", must be like package.Service/Method`, []string{"h:1", "a/b/c"}},
		{"METHOD: must be given together with -d or -protoset", []string{"h:1", "-d", "{}"}},
		{"-c: 0, must be 1 to 100000", []string{"h:1", "-c", "0"}},
		{"-n: 0, must be 1 to 100000000", []string{"h:1", "-n", "0"}},
		{"-for: 1ms, must be at least 100ms", []string{"h:1", "-for", "1ms"}},
		{`invalid value "0" for flag -connections: "0", must be 1 to 1024`, []string{"h:1", "-connections", "0"}},
		{`invalid value "1,," for flag -connections: "", must be 1 to 1024`, []string{"h:1", "-connections", "1,,"}},
		{`invalid value "x" for flag -H: must be like 'name: value', and not begin with grpc-`, []string{"h:1", "-H", "x"}},
		{`invalid value "a-bin: ?" for flag -H: "?", must be base64, as in each header that ends in -bin`, []string{"h:1", "-H", "a-bin: ?"}},
		{`invalid value "soon" for flag -max-time: must be seconds, at least 0.001`, []string{"h:1", "-max-time", "soon"}},
		{"-plaintext: must not be given together with -insecure, -cacert, -cert, -key or -servername", []string{"h:1", "-plaintext", "-insecure"}},
		{"-insecure: must not be given together with -cacert", []string{"h:1", "-insecure", "-cacert", "f"}},
		{"-cert: must be given together with -key", []string{"h:1", "-key", "f"}},
		{`-servername: "a", must be the same as -authority ("b"), if both are given`, []string{"h:1", "-servername", "a", "-authority", "b"}},
	} {
		_, err := parse(tt.args, cli.IO{})
		assert.EqualError(t, err, tt.want)
		assert.ErrorAs(t, err, new(cli.InputError))
	}
}

func TestFilesThatAreWrongAreBadInput(t *testing.T) {
	for _, args := range [][]string{{"-cacert", "nosuch"}, {"-cacert", "options_test.go"}, {"-cert", "nosuch", "-key", "nosuch"}} {
		o, err := parse(append(args, "h:1"), cli.IO{})
		require.NoError(t, err)
		_, err = open(o)
		assert.ErrorAs(t, err, new(cli.InputError), args)
	}
}
