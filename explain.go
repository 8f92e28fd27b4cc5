package subpool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	grpcbalancer "google.golang.org/grpc/balancer"

	"github.com/grpc-subpool/subpool/balancer"
	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/internal/lifecycle"
	"github.com/grpc-subpool/subpool/internal/settings"
	"github.com/grpc-subpool/subpool/picker"
	"github.com/grpc-subpool/subpool/resolver"
)

// An Explanation is what a pool will do with its settings.
type Explanation struct {
	Config   Config
	Settings []Setting // each one, in the order of the documentation
	Ignored  []string  // fields that are not known, most likely misspelt
}

// A Setting is one effective setting.
type Setting struct {
	Name   string
	Value  string // as in JSON; "none" for a maxPending without limit
	Source string // "given", "default", or what it follows from: "size", "minSize"
}

// Explain tells what settings come to: those of a target of the scheme
// ("subpool:///host:443?size=8"), of a service config that names the policy, or
// of the policy alone ({"size":8}). The error says what a channel would say of them;
// what only a nested resolver refuses is not seen.
func Explain(input string) (Explanation, error) {
	var e Explanation
	var given []string
	js, err := policyOf(input)
	switch {
	case err != nil:
	case js != nil:
		e.Config, given, e.Ignored, err = settings.Parse(js)
	default:
		var target resolver.Target
		target, err = resolver.Parse(input)
		e.Config, given = target.Settings, target.Given
	}
	if err == nil {
		err = settings.CheckPicker(e.Config.Picker, picker.Names())
	}
	if err != nil {
		return Explanation{}, err
	}
	e.Settings = settingsOf(e.Config, given)
	return e, nil
}

// policyOf returns the settings within a service config, JSON that is no service
// config as it is, or nil for what is no JSON.
func policyOf(input string) (json.RawMessage, error) {
	js := []byte(strings.TrimSpace(input))
	if !json.Valid(js) && !bytes.HasPrefix(js, []byte{'{'}) {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(js, &fields) != nil {
		return js, nil //nolint:nilerr // settings.Parse says what is wrong
	}
	isServiceConfig := false
	var service struct {
		LoadBalancingPolicy string
		LoadBalancingConfig []map[string]json.RawMessage
	}
	for name := range fields {
		isServiceConfig = isServiceConfig || slices.ContainsFunc(serviceConfigFields, func(f string) bool { return strings.EqualFold(f, name) })
	}
	if !isServiceConfig {
		for name := range fields {
			if strings.EqualFold(name, balancer.Name) {
				return nil, fmt.Errorf(`subpool: %q stands alone, must be within {"loadBalancingConfig":[{"subpool":{…}}]}`, name)
			}
		}
		return js, nil
	}
	if err := json.Unmarshal(js, &service); err != nil {
		return nil, fmt.Errorf("subpool: service config: %w", err)
	}
	for _, policy := range service.LoadBalancingConfig {
		if len(policy) != 1 {
			return nil, errors.New("subpool: loadBalancingConfig: each entry must name one policy")
		}
		for name, settings := range policy {
			switch b := grpcbalancer.Get(name); {
			case b == nil: // gRPC looks at the next
			case b.Name() == balancer.Name:
				return settings, nil
			default:
				return nil, fmt.Errorf("subpool: loadBalancingConfig: gRPC takes the first policy that it knows, which is %q", name)
			}
		}
	}
	if b := grpcbalancer.Get(service.LoadBalancingPolicy); service.LoadBalancingConfig == nil && b != nil && b.Name() == balancer.Name {
		return json.RawMessage(`{}`), nil
	}
	return nil, errors.New("subpool: loadBalancingConfig does not name subpool")
}

// serviceConfigFields tell a service config from the settings of the policy.
var serviceConfigFields = []string{"loadBalancingConfig", "loadBalancingPolicy", "methodConfig", "retryThrottling", "healthCheckConfig"}

func settingsOf(c Config, given []string) (all []Setting) {
	values := make(map[string]json.RawMessage)
	js, _ := c.MarshalJSON() // it was checked
	_ = json.Unmarshal(js, &values)
	for _, name := range settings.Names() {
		if name == "size" { // it is minSize and maxSize by now
			continue
		}
		s := Setting{Name: name, Value: string(values[name]), Source: "default"}
		isSize := name == "minSize" || name == "maxSize"
		switch {
		case slices.Contains(given, name):
			s.Source = "given"
		case isSize && slices.Contains(given, "size"):
			s.Source = "size"
		case name == "maxSize" && c.MaxSize != config.Default().MaxSize:
			s.Source = "minSize"
		}
		if s.Value == "" { // maxPending without a limit, no name
			s.Value = "none"
		}
		all = append(all, s)
	}
	return all
}

// String is a table of the settings.
func (e Explanation) String() string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, s := range e.Settings {
		fmt.Fprintf(table, "%s\t%s\t%s\n", s.Name, s.Value, s.Source)
	}
	for _, name := range e.Ignored {
		fmt.Fprintf(table, "%s\t\tunknown, ignored\n", name)
	}
	table.Flush()
	return text.String()
}

// A Fleet is what many clients with the same settings come to, for their servers
// and for what is between, while nothing fails.
type Fleet struct {
	// Resting and Busy are the connections open while there are no RPCs, and while
	// the demand calls for maxSize everywhere. Resting is for channels made with
	// grpc.WithIdleTimeout(0): without it a channel closes all after 30 minutes of rest. Pools
	// whose idleTimeout is 0 never shrink: once they were busy, they rest as they are.
	Resting, Busy int
	// Most is the bound on connections open or being made, while all are replaced
	// and the old ones still have RPCs. Those that a pool dropped because it
	// shrank, and that still have RPCs, come on top.
	Most int
	// RestingDials and BusyDials are the connections made in an hour to replace
	// older ones, on average: by maxLifetime, and at rest by idleTimeout too.
	RestingDials, BusyDials float64
	// RestartDials is the connections made at once when all clients start together.
	RestartDials int
	// RestingWave and BusyWave are the most connections made in a second after such
	// a start, when the lives that began together end: the jitter spreads them over
	// its part of a life. 0 if they never end.
	RestingWave, BusyWave float64
}

// String says it in words.
func (f Fleet) String() string {
	return fmt.Sprintf("%d connections at rest, %d when busy, never more than %d\n"+
		"%.0f dials an hour at rest, %.0f when busy\n"+
		"%d dials at once when all start, later up to %.0f in a second at rest, %.0f when busy\n",
		f.Resting, f.Busy, f.Most, f.RestingDials, f.BusyDials, f.RestartDials, f.RestingWave, f.BusyWave)
}

// Fleet counts what clients with these settings come to, each with that many
// endpoints. Numbers below 0 count as 0.
func (e Explanation) Fleet(clients, endpoints int) Fleet {
	c := e.Config
	pools := max(0, clients) * max(0, endpoints)
	f := Fleet{
		Resting:      pools * c.MinSize,
		Busy:         pools * c.MaxSize,
		Most:         pools * (2*c.MaxSize + lifecycle.Budget(c.MaxSize)),
		RestartDials: pools * min(c.MaxSize, max(1, c.MinSize)),
	}
	life := c.MaxLifetime
	if c.IdleTimeout == 0 {
		f.Resting = f.Busy
	} else if silent := c.IdleTimeout - c.IdleTimeout/8; life == 0 || silent < life {
		life = silent // an eighth early: see docs/lifecycle.md
	}
	f.RestingDials, f.RestingWave = renewals(f.Resting, life, c.LifetimeJitter)
	f.BusyDials, f.BusyWave = renewals(f.Busy, c.MaxLifetime, c.LifetimeJitter)
	return f
}

// renewals returns how often connections of this life are replaced, on average in
// an hour and at most in a second. Lives are drawn evenly, from life less the
// jitter's part up to life. Where that is more than half of it the second lives begin
// to end before the last of the first: the exponent bounds what they add.
func renewals(connections int, life time.Duration, jitter float64) (hourly, wave float64) {
	if life == 0 {
		return 0, 0
	}
	n := float64(connections)
	hourly = n / (life.Hours() * (1 - jitter/2))
	wave = n / max(1, life.Seconds()*jitter)
	if jitter > 0.5 {
		wave *= math.Exp((2*jitter - 1) / jitter)
	}
	return hourly, max(wave, hourly/3600)
}
