package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/registry"
	"github.com/grpc-subpool/subpool/page"
)

// A pool is one that exists only to be shown.
type pool struct {
	shown    inspect.Pool
	closed   bool
	recycled int
}

func (p *pool) Snapshot() (inspect.Pool, bool) { return p.shown, !p.closed }
func (p *pool) Recycle()                       { p.recycled++ }

func register(t *testing.T, target string) *pool {
	p := &pool{shown: inspect.Pool{Target: target, Settings: config.Default()}}
	t.Cleanup(registry.Register("", p))
	return p
}

func ask(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTheJSONIsAListOfPools(t *testing.T) {
	h := page.Handler()
	assert.JSONEq(t, `[]`, ask(h, "GET", "/json").Body.String())

	register(t, "dns:///a:443")
	register(t, "dns:///b:443")
	w := ask(h, "GET", "/json")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var pools []map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &pools))
	require.Len(t, pools, 2)
	assert.Equal(t, "dns:///a:443", pools[0]["target"])
	assert.Equal(t, "dns:///b:443", pools[1]["target"])
	assert.Less(t, pools[0]["id"], pools[1]["id"])
	assert.Equal(t, float64(4), pools[0]["settings"].(map[string]any)["maxSize"])
}

func TestAPoolThatIsClosedIsLeftOut(t *testing.T) {
	register(t, "dns:///a:443").closed = true
	assert.JSONEq(t, `[]`, ask(page.Handler(), "GET", "/json").Body.String())
}

func TestASnapshotThatIsNoJSONIsAnError(t *testing.T) {
	register(t, "dns:///a:443").shown.Settings = config.Config{MinSize: -1}
	w := ask(page.Handler(), "GET", "/json")
	assert.Equal(t, http.StatusInternalServerError, w.Code)
	assert.Contains(t, w.Body.String(), "minSize: -1")
}

// What pools tell is in the JSON only, where even <, > and & are escaped.
func TestHostileTextIsInNoHTML(t *testing.T) {
	before := ask(page.Handler(), "GET", "/").Body.String()
	const hostile = `dns:///</script><script>alert(1)</script>&amp;` + "\u2028"
	register(t, hostile).shown.Error = hostile
	w := ask(page.Handler(), "GET", "/json")
	assert.NotContains(t, w.Body.String(), "<")
	var pools []struct{ Target, Error string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &pools))
	assert.Equal(t, []struct{ Target, Error string }{{hostile, hostile}}, pools)
	assert.Equal(t, before, ask(page.Handler(), "GET", "/").Body.String(), "the document is the same, whatever pools there are")
}

func TestEveryAnswerHasSafeHeaders(t *testing.T) {
	h := page.Handler(page.AllowRecycle())
	for _, asked := range [][2]string{
		{"GET", "/"}, {"HEAD", "/"}, {"GET", "/json"}, {"GET", "/nothing"}, {"POST", "/"}, {"POST", "/recycle"},
	} {
		t.Run(asked[0]+asked[1], func(t *testing.T) {
			header := ask(h, asked[0], asked[1]).Header()
			assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
			assert.Equal(t, "no-referrer", header.Get("Referrer-Policy"))
			assert.Equal(t, "no-store", header.Get("Cache-Control"))
			assert.Equal(t, "DENY", header.Get("X-Frame-Options"))
			assert.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"))
			assert.Equal(t, "same-origin", header.Get("Cross-Origin-Opener-Policy"))
			policy := header.Get("Content-Security-Policy")
			for _, directive := range []string{
				"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
				"connect-src 'self'", "img-src data:", "require-trusted-types-for 'script'", "trusted-types 'none'",
			} {
				assert.Contains(t, strings.Split(policy, "; "), directive)
			}
			assert.NotContains(t, policy, "unsafe")
		})
	}
}

// The policy names the page's script and its style by their hashes, so nothing else
// can run, wherever it came from.
func TestThePolicyNamesTheOneScriptAndTheOneStyle(t *testing.T) {
	for name, h := range map[string]http.Handler{"read-only": page.Handler(), "recycle": page.Handler(page.AllowRecycle())} {
		t.Run(name, func(t *testing.T) {
			w := ask(h, "GET", "/")
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
			for _, element := range []string{"script", "style"} {
				found := regexp.MustCompile(`(?s)<`+element+`[^>]*>(.*?)</`+element+`>`).FindAllStringSubmatch(w.Body.String(), -1)
				require.Len(t, found, 1)
				sum := sha256.Sum256([]byte(found[0][1]))
				assert.Contains(t, w.Header().Get("Content-Security-Policy"),
					element+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"';")
			}
			for _, foreign := range []string{`\{\{`, `\sstyle=`, `\son\w+=`, `\ssrc=`, `@import`, `https?://[^w]`} {
				assert.Empty(t, regexp.MustCompile(foreign).FindAllString(w.Body.String(), -1), foreign)
			}
		})
	}
}

func TestItWorksAtAnyPrefix(t *testing.T) {
	for _, mount := range []struct {
		name, pattern string
		h             http.Handler
	}{
		{"root", "/", page.Handler()},
		{"prefix", "/debug/subpool/", page.Handler()},
		{"stripped prefix", "/debug/subpool/", http.StripPrefix("/debug/subpool", page.Handler())},
		{"prefix stripped with its slash", "/debug/subpool/", http.StripPrefix("/debug/subpool/", page.Handler())},
	} {
		t.Run(mount.name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.Handle(mount.pattern, mount.h)
			assert.Contains(t, ask(mux, "GET", mount.pattern).Body.String(), "<title>subpool</title>")
			assert.JSONEq(t, `[]`, ask(mux, "GET", mount.pattern+"json").Body.String())
			assert.Equal(t, http.StatusNotFound, ask(mux, "GET", mount.pattern+"other").Code)
		})
	}
}

func TestOnlyReadingIsAllowed(t *testing.T) {
	h := page.Handler()
	for _, path := range []string{"/", "/json", "/recycle", "/other"} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "ET", "get"} {
			w := ask(h, method, path)
			assert.Equal(t, http.StatusMethodNotAllowed, w.Code, method+path)
			assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
		}
	}
	assert.Equal(t, http.StatusOK, ask(h, "HEAD", "/").Code)
	assert.Equal(t, http.StatusOK, ask(h, "HEAD", "/json").Code)
	assert.Equal(t, http.StatusNotFound, ask(h, "GET", "/recycle").Code)
}
