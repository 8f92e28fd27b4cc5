package subpool_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// The figures of docs/configuration.md.
func ExampleExplain() {
	e, err := subpool.Explain("subpool:///svc.example.com:443?size=8&maxLifetime=1h")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(e)

	fmt.Print(e.Fleet(1000, 1)) // clients, endpoints of each
	// Output:
	// minSize              8                  size
	// maxSize              8                  size
	// targetStreams        100                default
	// picker               "least_in_flight"  default
	// idleTimeout          "4m0s"             default
	// maxLifetime          "1h0m0s"           given
	// lifetimeJitter       0.25               default
	// drainTimeout         "0s"               default
	// maxPending           none               default
	// unresponsiveTimeout  "0s"               default
	// outlierInterval      "10s"              default
	// resolveInterval      "0s"               default
	// name                 none               default
	// 8000 connections at rest, 8000 when busy, never more than 17000
	// 156735 dials an hour at rest, 9143 when busy
	// 8000 dials at once when all start, later up to 152 in a second at rest, 9 when busy
}

// sources are where the settings came from, those that are no defaults.
func sources(e subpool.Explanation) map[string]string {
	all := make(map[string]string)
	for _, s := range e.Settings {
		if s.Source != "default" {
			all[s.Name] = s.Value + " " + s.Source
		}
	}
	return all
}

func TestExplainTellsWhereASettingCameFrom(t *testing.T) {
	for _, tt := range []struct {
		input string
		want  map[string]string
	}{
		{`{}`, map[string]string{}},
		{` {"size":8} `, map[string]string{"minSize": "8 size", "maxSize": "8 size"}},
		{`{"minSize":8}`, map[string]string{"minSize": "8 given", "maxSize": "8 minSize"}},
		{`{"minSize":2}`, map[string]string{"minSize": "2 given"}},
		{`{"minSize":2,"maxSize":4}`, map[string]string{"minSize": "2 given", "maxSize": "4 given"}},
		{`{"picker":null,"maxPending":0}`, map[string]string{"maxPending": "0 given"}},
		{`{"loadBalancingConfig":[{"other":{"x":1}},{"subpool":{"lifetimeJitter":1}}],"methodConfig":[]}`, map[string]string{"lifetimeJitter": "1 given"}},
		{`subpool:///a,b?picker=round_robin`, map[string]string{"picker": `"round_robin" given`}},
		{subpool.DefaultConfig().ServiceConfig(), map[string]string{
			"minSize": "1 given", "maxSize": "4 given", "targetStreams": "100 given", "picker": `"least_in_flight" given`,
			"idleTimeout": `"4m0s" given`, "maxLifetime": `"1h0m0s" given`, "lifetimeJitter": "0.25 given",
			"drainTimeout": `"0s" given`, "unresponsiveTimeout": `"0s" given`, "outlierInterval": `"10s" given`, "resolveInterval": `"0s" given`,
		}},
	} {
		e, err := subpool.Explain(tt.input)
		require.NoError(t, err)
		assert.Equal(t, tt.want, sources(e), "%s", tt.input)
		assert.Len(t, e.Settings, 13)
	}
}

func TestExplainNamesWhatIsIgnored(t *testing.T) {
	e, err := subpool.Explain(`{"size":8,"maxLivetime":"5m"}`)
	require.NoError(t, err)
	require.Equal(t, []string{"maxLivetime"}, e.Ignored)
	require.Contains(t, e.String(), "maxLivetime                             unknown, ignored\n")
}

func TestExplainRefusesWhatIsNotOurs(t *testing.T) {
	for input, want := range map[string]string{
		`{"loadBalancingConfig":[{"round_robin":{}},{"subpool":{}}]}`: `subpool: loadBalancingConfig: gRPC takes the first policy that it knows, which is "round_robin"`,
		`{"loadBalancingConfig":[{"subpool":{},"round_robin":{}}]}`:   `subpool: loadBalancingConfig: each entry must name one policy`,
		`{"loadBalancingConfig":[{"other":{}}]}`:                      `subpool: loadBalancingConfig does not name subpool`,
		`{"loadBalancingConfig":{"subpool":{}}}`:                      `subpool: service config: json: cannot unmarshal object into Go struct field .LoadBalancingConfig of type []map[string]json.RawMessage`,
		`{"loadBalancingPolicy":"round_robin"}`:                       `subpool: loadBalancingConfig does not name subpool`,
		`{"methodConfig":[]}`:                                         `subpool: loadBalancingConfig does not name subpool`,
		`{"subpool":{"size":8}}`:                                      `subpool: "subpool" stands alone, must be within {"loadBalancingConfig":[{"subpool":{…}}]}`,
		`[{"subpool":{"size":8}}]`:                                    `subpool: settings: array, must be a JSON object`,
		`dns:///svc:443`:                                              `subpool: target "dns:///svc:443": must begin with subpool:///`,
		"\t{\"size\":8":                                               `subpool: settings: unexpected end of JSON input`,
		``:                                                            `subpool: target "": must begin with subpool:///`,
	} {
		_, err := subpool.Explain(input)
		assert.EqualError(t, err, want, "%s", input)
	}
	_, err := subpool.Explain(`{"loadBalancingPolicy":"subpool"}`)
	assert.NoError(t, err)
}

func TestAFleetIsCountedBySettings(t *testing.T) {
	for _, tt := range []struct {
		settings           string
		clients, endpoints int
		want               subpool.Fleet
	}{
		{`{}`, 1, 1, subpool.Fleet{Resting: 1, Busy: 4, Most: 9, RestingDials: 3600 / (210 * 0.875), BusyDials: 4 / 0.875,
			RestartDials: 1, RestingWave: 1 / 52.5, BusyWave: 4 / 900.}},
		{`{"size":20}`, 10, 3, subpool.Fleet{Resting: 600, Busy: 600, Most: 1260, RestingDials: 600 * 3600 / (210 * 0.875), BusyDials: 600 / 0.875,
			RestartDials: 600, RestingWave: 600 / 52.5, BusyWave: 600 / 900.}},
		{`{"minSize":0,"idleTimeout":"0s","lifetimeJitter":0}`, 10, 1, subpool.Fleet{Resting: 40, Busy: 40, Most: 90, RestingDials: 40, BusyDials: 40,
			RestartDials: 10, RestingWave: 40, BusyWave: 40}},
		{`{"size":2,"idleTimeout":"0s","maxLifetime":"0s"}`, 10, 1, subpool.Fleet{Resting: 20, Busy: 20, Most: 50, RestartDials: 20}},
		{`{"minSize":0}`, 10, 2, subpool.Fleet{Busy: 80, Most: 180, BusyDials: 80 / 0.875, RestartDials: 20, BusyWave: 80 / 900.}},
		{`{}`, -1, 5, subpool.Fleet{}},
		// The second lives overlap the first: e times as many, as renewal theory has it.
		{`{"size":2,"lifetimeJitter":1,"idleTimeout":"0s"}`, 1, 1, subpool.Fleet{Resting: 2, Busy: 2, Most: 5, RestingDials: 4, BusyDials: 4,
			RestartDials: 2, RestingWave: 2 * math.E / 3600, BusyWave: 2 * math.E / 3600}},
	} {
		e, err := subpool.Explain(tt.settings)
		require.NoError(t, err)
		got := e.Fleet(tt.clients, tt.endpoints)
		for _, pair := range [][2]*float64{{&tt.want.RestingDials, &got.RestingDials}, {&tt.want.BusyDials, &got.BusyDials},
			{&tt.want.RestingWave, &got.RestingWave}, {&tt.want.BusyWave, &got.BusyWave}} {
			assert.InDelta(t, *pair[0], *pair[1], 1e-6, "%s", tt.settings)
			*pair[0] = *pair[1]
		}
		assert.Equal(t, tt.want, got, "%s", tt.settings)
	}
}

// The count of a pool at rest, and of one in use, against what they do in ten hours.
func TestAFleetMakesTheDialsThatWereForetold(t *testing.T) {
	for name, rpcs := range map[string]int{"at rest": 0, "busy": 8} { // every minute
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := harness.Start(t, harness.Options{})
				const settings = `{"size":8,"maxLifetime":"30m","picker":"round_robin"}`
				cc := s.NewClient(t, harness.Policy(settings), grpc.WithIdleTimeout(0))
				cc.Connect()
				synctest.Wait()
				const hours = 10
				for begin := time.Now(); time.Since(begin) < hours*time.Hour; time.Sleep(time.Minute) {
					for range rpcs {
						require.NoError(t, emptyCall(cc))
					}
				}
				e, err := subpool.Explain(settings)
				require.NoError(t, err)
				foretold := e.Fleet(1, 1).RestingDials
				if rpcs > 0 {
					foretold = e.Fleet(1, 1).BusyDials
				}
				require.InEpsilon(t, hours*foretold, s.Dials()-8, 0.1)
			})
		})
	}
}

// Explain takes the names that gRPC takes: of a policy in whatever case as older ones do, or not.
func TestExplainAgreesWithGRPCOnCase(t *testing.T) {
	for _, input := range []string{
		`{"loadbalancingconfig":[{"subpool":{"size":3}}]}`,
		`{"LOADBALANCINGCONFIG":[{"Subpool":{"size":3}}],"METHODCONFIG":[]}`,
		`{"loadBalancingConfig":[{"SUBPOOL":{"size":3}},{"round_robin":{}}]}`,
		`{"loadBalancingPolicy":"Subpool"}`,
	} {
		if _, err := grpc.NewClient("passthrough:///a", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(input)); err != nil {
			require.NotContains(t, input, `"subpool"`, "%v", err)
			_, err := subpool.Explain(input)
			require.Error(t, err, "%s", input)
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			s := harness.Start(t, harness.Options{})
			cc := s.NewClient(t, input)
			cc.Connect()
			synctest.Wait()
			e, err := subpool.Explain(input)
			pools := subpool.Pools()
			require.Equal(t, len(pools) == 1, err == nil, "%s: %v", input, err)
			if err == nil {
				snapshot, _ := pools[0].Snapshot()
				assert.Equal(t, snapshot.Settings, e.Config, "%s", input)
				assert.Equal(t, strings.Contains(input, "size"), e.Config.MinSize == 3, "%s", input)
			}
		})
	}
}
