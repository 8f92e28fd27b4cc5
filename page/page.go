// Package page shows the pools of this process in a browser: first what is wrong, and why
// RPCs wait or fail; then how large each pool is and why, what each subchannel carries, and
// what was decided of late.
//
//	mux.Handle("/debug/subpool/", page.Handler())
//
// The handler works at any path that ends in a slash, behind [http.StripPrefix] or not.
// Below it, json has the same as a list of [inspect.Pool].
//
// It shows targets, addresses and the text of connection errors to all that can
// reach it. As with net/http/pprof, that should be operators only.
//
// Where it is served on a loopback address it answers to localhost and to addresses only,
// so that a site whose name was made to point there (DNS rebinding) learns nothing; for
// other names see [AllowHost]. On other addresses, that of a container among them, it
// answers to any name: there whatever guards the handler has to keep other clients out.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/registry"
)

// The page is one document, so that it needs no path but its own.
var (
	//go:embed page.html
	document string
	//go:embed page.css
	style string
	//go:embed words.js
	words string
	//go:embed troubles.js
	troubles string
	//go:embed plot.js
	plot string
	//go:embed rows.js
	rows string
	//go:embed page.js
	script string

	// hashes of what the document has inline: nothing else runs, or styles it.
	scriptHash = hash(words + troubles + plot + rows + script)
	styleHash  = hash(style)
)

// recycleHeader must come with a request to recycle: a form cannot send it, and a
// script of another origin only if the server says so.
const recycleHeader = "Subpool-Recycle"

// An Option changes what a [Handler] does.
type Option func(*handler)

// AllowRecycle adds a button that replaces all connections of a pool gracefully: see
// [inspect.Handle.Recycle]. Without it the page is read-only.
//
// Behind the button is a POST to recycle?id=N with the header Subpool-Recycle. One that
// a browser sends for a page of another origin is refused; which other clients may do it
// is up to what guards the handler.
func AllowRecycle() Option { return func(h *handler) { h.mayRecycle = true } }

// AllowHost lets a page that is served on a loopback address answer to this name, too,
// with any port: for a proxy on the same machine that passes the client's Host on, or one
// of its own making, and for names that the machine gives itself.
func AllowHost(name string) Option {
	return func(h *handler) { h.hosts = append(h.hosts, nameOf(name)) }
}

type handler struct {
	mayRecycle  bool
	hosts       []string
	crossOrigin *http.CrossOriginProtection
	document    []byte
	policy      string // the Content-Security-Policy
}

// Handler returns the page. It does nothing unless it is asked, and keeps nothing.
func Handler(options ...Option) http.Handler {
	h := &handler{crossOrigin: http.NewCrossOriginProtection()}
	for _, o := range options {
		o(h)
	}
	h.document = []byte(strings.NewReplacer(
		"{{style}}", style,
		"{{script}}", words+troubles+plot+rows+script,
		"{{recycle}}", strconv.FormatBool(h.mayRecycle),
	).Replace(document))
	h.policy = fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; connect-src 'self'; img-src data:; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
		scriptHash, styleHash)
	return h
}

// hash is how a Content-Security-Policy names the text of an element.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", h.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY") // frame-ancestors, for old browsers
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")

	if !h.answersTo(r) {
		http.Error(w, fmt.Sprintf("host %q is not allowed on a loopback address: see page.AllowHost", r.Host), http.StatusForbidden)
		return
	}
	serve, methods := h.route(r.URL.Path)
	if !slices.Contains(methods, r.Method) {
		allowed := strings.Join(methods, ", ")
		header.Set("Allow", allowed)
		http.Error(w, "allowed here: "+allowed, http.StatusMethodNotAllowed)
		return
	}
	serve(w, r)
}

// answersTo reports whether a request that came to a loopback address was meant for it.
func (h *handler) answersTo(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || !isLoopback(local.String()) {
		return true
	}
	// The owner of a name may have it point here, but an address has none; and localhost, with
	// what is below it, is always this machine (RFC 6761).
	name := nameOf(r.Host)
	_, err := netip.ParseAddr(name)
	return err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(h.hosts, name)
}

// nameOf is a host in lower case without its port, brackets, or the dot of the root.
func nameOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(nameOf(host))
	return err == nil && addr.Unmap().IsLoopback()
}

// route looks at the last part of a path only, so that it is the same at any prefix.
func (h *handler) route(path string) (serve http.HandlerFunc, methods []string) {
	read := []string{http.MethodGet, http.MethodHead}
	switch name := path[strings.LastIndexByte(path, '/')+1:]; {
	case name == "":
		return h.servePage, read
	case name == "json":
		return h.serveJSON, read
	case name == "recycle" && h.mayRecycle:
		return h.recycle, []string{http.MethodPost}
	}
	return h.notFound, read
}

func (h *handler) servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(h.document) // an error means that the client is gone
}

func (h *handler) serveJSON(w http.ResponseWriter, _ *http.Request) {
	pools := []inspect.Pool{} // not null
	for _, handle := range registry.Pools() {
		if p, ok := handle.Snapshot(); ok {
			pools = append(pools, p)
		}
	}
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(pools); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body.Bytes())
}

func (h *handler) recycle(w http.ResponseWriter, r *http.Request) {
	if err := h.crossOrigin.Check(r); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	if r.Header.Get(recycleHeader) == "" {
		http.Error(w, "the header "+recycleHeader+" is missing", http.StatusForbidden)
		return
	}
	id, err := strconv.ParseUint(r.URL.Query().Get("id"), 10, 64)
	if err != nil {
		http.Error(w, "id must be the number of a pool", http.StatusBadRequest)
		return
	}
	for _, handle := range registry.Pools() {
		if handle.ID() == id {
			handle.Recycle()
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	http.Error(w, "no such pool", http.StatusNotFound)
}

func (h *handler) notFound(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "not found: the page is where the path ends in /", http.StatusNotFound)
}
