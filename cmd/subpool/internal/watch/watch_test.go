package watch

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/page"
)

var (
	noon      = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	connected = noon.Add(-90 * time.Second)
)

func pool() inspect.Pool {
	return inspect.Pool{
		ID: 7, Target: "dns:///svc\x1b[2J", State: "READY", At: noon, Held: 1, Queued: 2,
		Endpoints: []inspect.Endpoint{{
			Addresses: []string{"10.0.0.1:443"}, MinSize: 1, MaxSize: 4, Subchannels: []inspect.Subchannel{
				{ID: 1, State: "ready", Address: "10.0.0.1:443", InFlight: 5, Limit: 100, Started: 50, Failed: 3, Connected: &connected, Suspect: true},
				{ID: 2, State: "draining", InFlight: 2, Limit: -1, Connected: &connected, Retired: "max_lifetime"},
				{ID: 3, State: "connecting", Limit: -1},
			},
		}},
		Totals:    inspect.Totals{Opened: 9, Failed: 4, Retired: map[string]int64{"idle": 2, "lost": 1}},
		Decisions: []inspect.Decision{{At: noon, What: "grew", Why: "first"}, {At: noon, What: "retired", Why: "why it was"}},
	}
}

func lines(text string) (all []string) {
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		all = append(all, strings.Join(strings.Fields(line), " "))
	}
	return all
}

func TestAPoolIsALine(t *testing.T) {
	assert.Equal(t, []string{
		"POOL STATE TARGET READY BOUNDS IN FLIGHT WAITING OPENED REPLACED FAILED DIALS",
		"#7 READY dns:///svc·[2J 1 of 3 1–4 7 3 9 3 4",
	}, lines(render([]inspect.Pool{pool()}, nil, false)))
}

func TestAConnectionIsALineIfThatIsAskedFor(t *testing.T) {
	assert.Equal(t, []string{
		"#7 STATE ADDRESS IN FLIGHT LIMIT STARTED FAILED AGE",
		"1 ready 10.0.0.1:443 5 100 50 3 1m30s suspect",
		"2 draining 10.0.0.1:443 2 – 0 0 1m30s retired: max_lifetime",
		"3 connecting 10.0.0.1:443 0 – 0 0 –",
		"12:00:00 retired: why it was",
	}, lines(render([]inspect.Pool{pool()}, nil, true))[3:])
}

func TestWhatIsOldSaysSo(t *testing.T) {
	assert.Equal(t, "no answer since: refused", lines(render([]inspect.Pool{pool()}, errors.New("refused"), false))[0])
}

func TestNoPoolIsSaid(t *testing.T) {
	assert.Contains(t, render(nil, nil, true), "no pool")
}

func TestATerminalIsDrawnInPlaceAndAFileAppended(t *testing.T) {
	var terminal, file bytes.Buffer
	screen{&terminal, true}.draw(noon, "a\n")
	screen{&file, false}.draw(noon, "a\n")
	assert.Equal(t, "\x1b[H12:00:00\x1b[K\na\x1b[K\n\x1b[J", terminal.String())
	assert.Equal(t, "12:00:00\na\n", file.String())
}

func TestTheJSONIsBesideThePage(t *testing.T) {
	for page, want := range map[string]string{
		"http://h:1/debug/subpool/":     "http://h:1/debug/subpool/json",
		"http://h:1/debug/subpool":      "http://h:1/debug/subpool/json",
		"https://h/debug/subpool/json":  "https://h/debug/subpool/json",
		"http://h:1":                    "http://h:1/json",
		"http://h/debug/subpool/?key=1": "http://h/debug/subpool/json?key=1",
	} {
		got, err := jsonOf(page)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, bad := range []string{"", "localhost:8080", "ftp://h/", "http://", "http://%zz"} {
		_, err := jsonOf(bad)
		assert.ErrorAs(t, err, new(cli.InputError), bad)
	}
}

func TestTheLivePoolsOfAPageAreWatched(t *testing.T) {
	cc, err := grpc.NewClient("subpool:///127.0.0.1:1?size=3", grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer cc.Close()
	cc.Connect()
	server := httptest.NewServer(page.Handler())
	defer server.Close()
	require.Eventually(t, func() bool {
		var out bytes.Buffer
		require.NoError(t, Run(t.Context(), []string{server.URL, "-once", "-v"}, cli.IO{Out: &out}))
		return strings.Contains(out.String(), "subpool:///127.0.0.1:1") && strings.Contains(out.String(), " of 3")
	}, time.Minute, 10*time.Millisecond)
}

func TestAPageThatIsGoneLaterIsWaitedFor(t *testing.T) {
	asked := 0
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		switch asked {
		case 1:
			_, _ = w.Write([]byte("[]"))
		case 2:
			http.Error(w, "away", http.StatusBadGateway)
		default:
			cancel()
		}
	}))
	defer server.Close()
	var out bytes.Buffer
	require.NoError(t, Run(ctx, []string{server.URL, "-every", "100ms"}, cli.IO{Out: &out}))
	assert.Contains(t, out.String(), "no answer since: "+server.URL+"/json: 502 Bad Gateway: away")
}

func TestAPageThatWasNeverThereIsAnError(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	err := Run(t.Context(), []string{server.URL}, cli.IO{Out: &bytes.Buffer{}})
	require.ErrorContains(t, err, "404 Not Found")
	require.NotErrorAs(t, err, new(cli.InputError))
}
