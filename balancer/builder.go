// Package balancer is the subpool load-balancing policy: it opens several
// subchannels to each endpoint, keeps them alive, renews them, and gives the
// READY ones to a picker.
//
// What should happen is decided in internal/lifecycle. The pool is the shell around
// it: it has the one mutex and the one timer, tells the endpoints what gRPC reports,
// carries out their plans, and makes all calls into gRPC.
package balancer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/serviceconfig"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/settings"
	"github.com/grpc-subpool/subpool/picker"
)

// Name is the name of the policy in a service config.
const Name = "subpool"

var logger = grpclog.Component("subpool")

// NewBuilder returns the builder of the policy, for balancer.Register.
func NewBuilder() balancer.Builder { return builder{} }

type builder struct{}

func (builder) Name() string { return Name }

func (builder) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	return newPool(cc, opts)
}

// ParseConfig implements balancer.ConfigParser. The error of bad settings names
// the field, the value and the bound. Fields that it does not know are ignored,
// as the interface asks, but logged once.
func (builder) ParseConfig(js json.RawMessage) (serviceconfig.LoadBalancingConfig, error) {
	cfg, _, unknown, err := settings.Parse(js)
	if err == nil {
		err = settings.CheckPicker(cfg.Picker, picker.Names())
	}
	if err != nil {
		// A running pool keeps what it has, and gRPC says nothing.
		warnOnce("%s", strings.TrimPrefix(err.Error(), "subpool: "))
		return nil, err
	}
	for _, name := range unknown {
		warnOnce("unknown setting %.64q is ignored; known are %s", name, strings.Join(settings.Names(), ", "))
	}
	return &lbConfig{Config: cfg, ignored: unknown}, nil
}

// lbConfig makes the settings what gRPC takes for those of a policy.
type lbConfig struct {
	serviceconfig.LoadBalancingConfig
	config.Config
	ignored []string // fields that are not known
}

// warned holds the warnings that were given: a service config is parsed again
// with each answer of the resolver. It is bounded, for what
// feeds the resolver may not be trusted.
var warned struct {
	sync.Mutex
	messages []string
}

const maxWarnings = 100

func warnOnce(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	warned.Lock()
	defer warned.Unlock()
	if len(warned.messages) < maxWarnings && !slices.Contains(warned.messages, msg) {
		warned.messages = append(warned.messages, msg)
		logger.Warningf("subpool: %s", msg)
	}
}
