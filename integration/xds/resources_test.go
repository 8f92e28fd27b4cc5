package xds_test

import (
	"net"
	"strconv"

	typev3 "github.com/cncf/xds/go/xds/type/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	wrrlocality "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/wrr_locality/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/grpc-subpool/subpool/internal/harness"
)

const (
	service     = "service"
	routeName   = "route"
	clusterName = "cluster"
	rootsName   = "roots"
)

// A world is what a control plane says of the service.
type world struct {
	policy     proto.Message
	localities []locality
	outlier    *cluster.OutlierDetection
	secure     bool // by TLS
}

type locality struct {
	weight  uint32
	servers []*harness.Server
}

// subpool is the policy with these settings, as a control plane writes a custom one.
func subpool(settings map[string]any) proto.Message { return custom("subpool", settings) }

func custom(policy string, settings map[string]any) proto.Message {
	value, err := structpb.NewStruct(settings)
	if err != nil {
		panic(err)
	}
	return &typev3.TypedStruct{TypeUrl: "type.googleapis.com/" + policy, Value: value}
}

// inLocalities chooses a locality by weight first, and then by policy.
func inLocalities(policy proto.Message) proto.Message {
	return &wrrlocality.WrrLocality{EndpointPickingPolicy: policies(policy)}
}

func policies(policy proto.Message) *cluster.LoadBalancingPolicy {
	return &cluster.LoadBalancingPolicy{Policies: []*cluster.LoadBalancingPolicy_Policy{{
		TypedExtensionConfig: &core.TypedExtensionConfig{Name: "policy", TypedConfig: packed(policy)},
	}}}
}

func packed(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return a
}

// ads is this same control plane.
var ads = &core.ConfigSource{ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}}}

func (w world) listener() *listener.Listener {
	return &listener.Listener{Name: service, ApiListener: &listener.ApiListener{ApiListener: packed(&hcm.HttpConnectionManager{
		RouteSpecifier: &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{ConfigSource: ads, RouteConfigName: routeName}},
		HttpFilters: []*hcm.HttpFilter{{
			Name:       "router",
			ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: packed(&router.Router{})},
		}},
	})}}
}

func (w world) route() *route.RouteConfiguration {
	return &route.RouteConfiguration{Name: routeName, VirtualHosts: []*route.VirtualHost{{
		Domains: []string{service},
		Routes: []*route.Route{{
			Match:  &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
			Action: &route.Route_Route{Route: &route.RouteAction{ClusterSpecifier: &route.RouteAction_Cluster{Cluster: clusterName}}},
		}},
	}}}
}

func (w world) cluster() *cluster.Cluster {
	c := &cluster.Cluster{
		Name:                 clusterName,
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		EdsClusterConfig:     &cluster.Cluster_EdsClusterConfig{EdsConfig: ads},
		LoadBalancingPolicy:  policies(w.policy),
		OutlierDetection:     w.outlier,
	}
	if w.secure {
		c.TransportSocket = &core.TransportSocket{
			Name: "envoy.transport_sockets.tls",
			ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: packed(&tls.UpstreamTlsContext{CommonTlsContext: &tls.CommonTlsContext{
				ValidationContextType: &tls.CommonTlsContext_ValidationContext{ValidationContext: &tls.CertificateValidationContext{
					CaCertificateProviderInstance: &tls.CertificateProviderPluginInstance{InstanceName: rootsName},
				}},
			}})},
		}
	}
	return c
}

func (w world) endpoints() *endpoint.ClusterLoadAssignment {
	all := &endpoint.ClusterLoadAssignment{ClusterName: clusterName}
	for i, l := range w.localities {
		group := &endpoint.LocalityLbEndpoints{
			Locality:            &core.Locality{Region: "region", Zone: strconv.Itoa(i)},
			LoadBalancingWeight: wrapperspb.UInt32(max(l.weight, 1)),
		}
		for _, s := range l.servers {
			group.LbEndpoints = append(group.LbEndpoints, &endpoint.LbEndpoint{
				HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: address(s.Addr())}},
			})
		}
		all.Endpoints = append(all.Endpoints, group)
	}
	return all
}

func address(hostport string) *core.Address {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		panic(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		panic(err)
	}
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address:       host,
		PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(n)},
	}}}
}
