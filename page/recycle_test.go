package page_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/page"
)

// idOf returns the number of the only pool.
func idOf(t *testing.T, h http.Handler) uint64 {
	var pools []struct{ ID uint64 }
	require.NoError(t, json.Unmarshal(ask(h, "GET", "/json").Body.Bytes(), &pools))
	require.Len(t, pools, 1)
	return pools[0].ID
}

func TestAPageIsReadOnlyUnlessAskedOtherwise(t *testing.T) {
	p := register(t, "dns:///a:443")
	h := page.Handler()
	path := fmt.Sprint("/recycle?id=", idOf(t, h))
	assert.Equal(t, http.StatusMethodNotAllowed, ask(h, "POST", path, "Subpool-Recycle", "1").Code)
	assert.Zero(t, p.recycled)
	assert.Contains(t, ask(h, "GET", "/").Body.String(), `data-recycle="false"`)
	assert.Contains(t, ask(page.Handler(page.AllowRecycle()), "GET", "/").Body.String(), `data-recycle="true"`)
}

func TestOnlyThePageItselfMayRecycle(t *testing.T) {
	for _, c := range []struct {
		name   string
		method string
		header []string
		want   int
	}{
		{"the page", "POST", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://example.com", "Subpool-Recycle", "1"}, http.StatusNoContent},
		{"a browser that tells its origin only", "POST", []string{"Origin", "http://example.com", "Subpool-Recycle", "1"}, http.StatusNoContent},
		{"curl", "POST", []string{"Subpool-Recycle", "1"}, http.StatusNoContent},
		{"another site", "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://evil.test", "Subpool-Recycle", "1"}, http.StatusForbidden},
		{"another host of the site", "POST", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://x.example.com", "Subpool-Recycle", "1"}, http.StatusForbidden},
		{"another origin by an old browser", "POST", []string{"Origin", "http://evil.test", "Subpool-Recycle", "1"}, http.StatusForbidden},
		{"a sandboxed frame", "POST", []string{"Origin", "null", "Subpool-Recycle", "1"}, http.StatusForbidden},
		{"a form", "POST", nil, http.StatusForbidden},
		{"a form of the same origin", "POST", []string{"Sec-Fetch-Site", "same-origin"}, http.StatusForbidden},
		{"a link", "GET", []string{"Sec-Fetch-Site", "none", "Subpool-Recycle", "1"}, http.StatusMethodNotAllowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := register(t, "dns:///a:443")
			h := page.Handler(page.AllowRecycle())
			w := ask(h, c.method, fmt.Sprint("/recycle?id=", idOf(t, h)), c.header...)
			assert.Equal(t, c.want, w.Code, w.Body)
			assert.Equal(t, c.want == http.StatusNoContent, p.recycled == 1)
		})
	}
}

func TestRecyclingNamesAPool(t *testing.T) {
	p := register(t, "dns:///a:443")
	h := page.Handler(page.AllowRecycle())
	id := idOf(t, h)
	for query, want := range map[string]int{
		"":                       http.StatusBadRequest,
		"?id=":                   http.StatusBadRequest,
		"?id=-1":                 http.StatusBadRequest,
		"?id=all":                http.StatusBadRequest,
		fmt.Sprint("?id=", id+1): http.StatusNotFound,
	} {
		assert.Equal(t, want, ask(h, "POST", "/recycle"+query, "Subpool-Recycle", "1").Code, query)
	}
	assert.Zero(t, p.recycled)
}

// A site may have its own name point to this machine (DNS rebinding); its scripts are
// then of the page's own origin.
//
// Guards: `h.answersTo(r)` in ServeHTTP.
func TestOnALoopbackAddressThePageAnswersToItsNamesOnly(t *testing.T) {
	p := register(t, "dns:///a:443")
	s := httptest.NewServer(page.Handler(page.AllowRecycle(), page.AllowHost("Ops.example.com"), page.AllowHost("ported.example.com:8443")))
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	request := func(method, path, host string) int {
		r, err := http.NewRequest(method, s.URL+path, nil)
		require.NoError(t, err)
		r.Host = host
		r.Header.Set("Subpool-Recycle", "1")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		res, err := s.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	for _, host := range []string{"127.0.0.1:" + port, "localhost:" + port, "LOCALHOST", "[::1]:" + port, "localhost.:" + port, "orders.localhost:" + port,
		"0.0.0.0:" + port, "[::]:" + port, "10.0.0.1", "ops.example.com", "ops.example.com:443", "ported.example.com:8443", "[fd00::1]"} {
		assert.Equal(t, http.StatusOK, request("GET", "/", host), host)
		assert.Equal(t, http.StatusOK, request("GET", "/json", host), host)
	}
	for _, host := range []string{"rebound.evil.test:" + port, "localhost.evil.test", "127.0.0.1.evil.test", "example.com", "localhost.evil.test."} {
		for _, path := range []string{"/", "/json", "/nothing"} {
			assert.Equal(t, http.StatusForbidden, request("GET", path, host), host)
		}
		assert.Equal(t, http.StatusForbidden, request("POST", "/recycle?id=1", host), host)
	}
	assert.Zero(t, p.recycled)
}
