package probe

import (
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
)

const help = `subpool probe TARGET [METHOD] [-d JSON] [-c N] [flags]

Calls a unary METHOD ("package.Service/Method") of your server over 1, 2, 4, 8 and 16
connections in turn, in short slices that alternate so that noise hits all alike, and
advises how many to have. Without METHOD it is grpc.health.v1.Health/Check. The method's
types come from the server's reflection, or from a file of -protoset. It is load:
-c RPCs are always in flight, -n in all at most, for -for at most. Beside them
goes a trickle of RPCs to a method that does not exist, to tell the connection from the
server. The table goes to standard output, what happens meanwhile to standard error.

  subpool probe -plaintext localhost:50051
  subpool probe api.example.com:443 shop.Cart/Get -d '{"id":"7"}' -c 240 -H 'authorization: Bearer x'
  subpool probe localhost:50051 shop.Cart/Get -protoset shop.binpb -plaintext -html report.html
`

// options are what the command line says.
type options struct {
	target, method string // method as package.Service/Method, or empty for a health check
	data           string
	protoset, html string
	headers        metadata.MD
	security       security
	sizes          []int
	inFlight, most int
	lasts          time.Duration
	maxTime        time.Duration // of one RPC
	connectTimeout time.Duration
}

// security says how connections are made.
type security struct {
	plaintext, insecure   bool
	cacert, cert, key     string
	authority, serverName string
}

func parse(args []string, std cli.IO) (o options, err error) {
	o = options{headers: metadata.MD{}, sizes: []int{1, 2, 4, 8, 16}}
	rest, err := cli.Parse(o.flags(), help, args, std)
	if err != nil {
		return o, err
	}
	if len(rest) < 1 || len(rest) > 2 {
		return o, cli.Bad("%d arguments, must be TARGET and METHOD, or TARGET alone", len(rest))
	}
	o.target = rest[0]
	if len(rest) == 2 {
		o.method = rest[1]
	}
	if err := o.check(); err != nil {
		return o, err
	}
	if o.data == "@" {
		text, err := io.ReadAll(std.In)
		if err != nil {
			return o, cli.Bad("-d: standard input: %v", err)
		}
		o.data = string(text)
	}
	return o, nil
}

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("probe", flag.ContinueOnError)
	f.StringVar(&o.data, "d", "", "the request as `JSON`; @ reads it from standard input; none is an empty message")
	f.IntVar(&o.inFlight, "c", 100, "RPCs in flight: take what your program has when it is busy")
	f.IntVar(&o.most, "n", 200_000, "RPCs in all, at most")
	f.DurationVar(&o.lasts, "for", 20*time.Second, "how long it may take, after connecting")
	f.Func("connections", "`numbers` of connections to compare (default 1,2,4,8,16)", o.setSizes)
	f.StringVar(&o.protoset, "protoset", "", "`file` with a FileDescriptorSet that has the method, instead of reflection")
	f.StringVar(&o.html, "html", "", "write a page with plots to this `file`, too")
	f.Func("H", "`header` of every RPC, as 'name: value'; may be repeated", o.addHeader)
	o.maxTime = 10 * time.Second
	f.Func("max-time", "`seconds` that an RPC may take (default 10)", seconds(&o.maxTime))
	o.connectTimeout = 10 * time.Second
	f.Func("connect-timeout", "`seconds` that connecting may take (default 10)", seconds(&o.connectTimeout))
	s := &o.security
	f.BoolVar(&s.plaintext, "plaintext", false, "no TLS")
	f.BoolVar(&s.insecure, "insecure", false, "TLS, but the server's certificate is not verified")
	f.StringVar(&s.cacert, "cacert", "", "`file` with the roots that the server is verified by, instead of the system's")
	f.StringVar(&s.cert, "cert", "", "`file` with the client's certificate")
	f.StringVar(&s.key, "key", "", "`file` with the client's private key")
	f.StringVar(&s.authority, "authority", "", "`name` for the :authority of RPCs, and for TLS unless -servername gives one")
	f.StringVar(&s.serverName, "servername", "", "`name` that the server's certificate must have")
	return f
}

func (o *options) check() error {
	s := o.security
	switch {
	case o.target == "":
		return cli.Bad("TARGET: empty, must be host:port or a gRPC target")
	case strings.HasPrefix(o.target, "subpool:"):
		return cli.Bad("TARGET: %q, must be without subpool:/// and settings: probe sets its own", o.target)
	case o.inFlight < 1 || o.inFlight > 100_000:
		return cli.Bad("-c: %d, must be 1 to 100000", o.inFlight)
	case o.most < 1 || o.most > 100_000_000:
		return cli.Bad("-n: %d, must be 1 to 100000000", o.most)
	case o.lasts < 100*time.Millisecond:
		return cli.Bad("-for: %v, must be at least 100ms", o.lasts)
	case s.plaintext && (s.insecure || s.cacert != "" || s.cert != "" || s.key != "" || s.serverName != ""):
		return cli.Bad("-plaintext: must not be given together with -insecure, -cacert, -cert, -key or -servername")
	case s.insecure && s.cacert != "":
		return cli.Bad("-insecure: must not be given together with -cacert")
	case (s.cert == "") != (s.key == ""):
		return cli.Bad("-cert: must be given together with -key")
	case s.authority != "" && s.serverName != "" && s.authority != s.serverName:
		return cli.Bad("-servername: %q, must be the same as -authority (%q), if both are given", s.serverName, s.authority)
	case o.method == "" && (o.data != "" || o.protoset != ""):
		return cli.Bad("METHOD: must be given together with -d or -protoset")
	case o.method != "":
		return o.readMethod()
	}
	return nil
}

// readMethod takes "/package.Service/Method", "package.Service/Method" and, as grpcurl does,
// "package.Service.Method".
func (o *options) readMethod() error {
	name := strings.TrimPrefix(o.method, "/")
	if i := strings.LastIndex(name, "."); i > 0 && !strings.Contains(name, "/") {
		name = name[:i] + "/" + name[i+1:]
	}
	service, method, _ := strings.Cut(name, "/")
	if service == "" || method == "" || strings.Contains(method, "/") {
		return cli.Bad("METHOD: %q, must be like package.Service/Method", o.method)
	}
	o.method = name
	return nil
}

func (o *options) setSizes(text string) error {
	o.sizes = nil
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 || n > 1024 {
			return fmt.Errorf("%q, must be 1 to 1024", field)
		}
		o.sizes = append(o.sizes, n)
	}
	slices.Sort(o.sizes)
	o.sizes = slices.Compact(o.sizes)
	return nil
}

func (o *options) addHeader(text string) error {
	name, value, found := strings.Cut(text, ":")
	name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
	if !found || name == "" || strings.ContainsAny(name, " \t") || strings.HasPrefix(name, "grpc-") {
		return errors.New("must be like 'name: value', and not begin with grpc-")
	}
	if strings.HasSuffix(name, "-bin") {
		binary, err := base64.StdEncoding.WithPadding(base64.NoPadding).DecodeString(strings.TrimRight(value, "="))
		if err != nil {
			return fmt.Errorf("%q, must be base64, as in each header that ends in -bin", value)
		}
		value = string(binary)
	}
	o.headers.Append(name, value)
	return nil
}

// seconds reads "2.5" as grpcurl does, and "2500ms" as Go does.
func seconds(to *time.Duration) func(string) error {
	return func(text string) error {
		d, err := time.ParseDuration(text)
		if n, notSeconds := strconv.ParseFloat(text, 64); notSeconds == nil {
			d, err = time.Duration(n*float64(time.Second)), nil
		}
		if err != nil || d < time.Millisecond {
			return errors.New("must be seconds, at least 0.001")
		}
		*to = d
		return nil
	}
}
