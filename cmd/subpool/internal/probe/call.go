package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jhump/protoreflect/v2/grpcreflect"
	"github.com/jhump/protoreflect/v2/protoresolve"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
)

// A call is an RPC that is made over and over.
type call struct {
	path    string // "/package.Service/Method"
	request []byte
}

const (
	healthCheck = "/grpc.health.v1.Health/Check"
	nothing     = "/subpool.Probe/Nothing" // a method that no server has: its answer takes no work
)

// prepare finds the method's types and encodes the request.
func prepare(ctx context.Context, cc *grpc.ClientConn, o options) (call, error) {
	if o.method == "" {
		return call{path: healthCheck}, nil // an empty message asks for the whole server
	}
	types, err := typesOf(ctx, cc, o)
	if err != nil {
		return call{}, err
	}
	method, err := find(types, o.method)
	if err != nil {
		return call{}, err
	}
	message := dynamicpb.NewMessage(method.Input())
	if strings.TrimSpace(o.data) != "" {
		decode := protojson.UnmarshalOptions{Resolver: protoresolve.TypesFromDescriptorPool(types)}
		if err := decode.Unmarshal([]byte(o.data), message); err != nil {
			return call{}, cli.Bad("-d: not a %s: %v", method.Input().FullName(), err)
		}
	}
	request, err := proto.Marshal(message)
	if err != nil {
		return call{}, cli.Bad("-d: %v", err)
	}
	return call{"/" + o.method, request}, nil
}

// typesOf returns what the file or the server tells of types.
func typesOf(ctx context.Context, cc *grpc.ClientConn, o options) (protoresolve.DescriptorPool, error) {
	if o.protoset == "" {
		return grpcreflect.NewClientAuto(ctx, cc).AsResolver(), nil
	}
	text, err := os.ReadFile(o.protoset)
	if err != nil {
		return nil, cli.Bad("-protoset: %v", err)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(text, &set); err != nil {
		return nil, cli.Bad("-protoset: %s is no FileDescriptorSet: %v", o.protoset, err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, cli.Bad("-protoset: %s: %v; was it made with --include_imports?", o.protoset, err)
	}
	return files, nil
}

func find(types protoresolve.DescriptorPool, name string) (protoreflect.MethodDescriptor, error) {
	serviceName, methodName, _ := strings.Cut(name, "/")
	d, err := types.FindDescriptorByName(protoreflect.FullName(serviceName))
	if status.Code(err) == codes.Unimplemented {
		return nil, errors.New("the server has no reflection: give the method's types with -protoset, or no METHOD for a health check")
	}
	if err != nil {
		return nil, fmt.Errorf("METHOD: service %s: %w", serviceName, err)
	}
	service, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, cli.Bad("METHOD: %s is no service", serviceName)
	}
	method := service.Methods().ByName(protoreflect.Name(methodName))
	if method == nil {
		var names []string
		for i := range service.Methods().Len() {
			names = append(names, string(service.Methods().Get(i).Name()))
		}
		return nil, cli.Bad("METHOD: %s has no %q, must be one of %s", serviceName, methodName, strings.Join(names, ", "))
	}
	if method.IsStreamingClient() || method.IsStreamingServer() {
		return nil, cli.Bad("METHOD: %s is streaming, must be unary", name)
	}
	return method, nil
}

// do makes the RPC, and returns how many bytes came back.
func (c call) do(ctx context.Context, cc *grpc.ClientConn) (size int, err error) {
	err = cc.Invoke(ctx, c.path, c.request, &size, grpc.ForceCodecV2(raw{}))
	return size, err
}

// raw sends a message that is encoded already, and only measures those that come: what
// this process does itself should not be what is measured.
type raw struct{}

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil //nolint:forcetypeassert // of call.do
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*int) = data.Len() //nolint:forcetypeassert // of call.do
	return nil
}

func (raw) Name() string { return "proto" }
