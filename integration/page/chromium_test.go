// Package page holds the tests of the page in a real browser.
package page

import (
	"context"
	"errors"
	"flag"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/registry"
)

var (
	screenshots = flag.String("screenshots", "", "directory to which screenshots are written")
	startAt     = flag.Int("start", 230, "second of the story at which the screenshots of the whole page begin: from 0 on it takes longer")
)

// patience is for a browser on a machine that is very busy.
const patience = 2 * time.Minute

// browser is one Chromium for all tests; each has a tab of its own.
var browser = sync.OnceValues(func() (context.Context, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp("", "chromium")
	if err != nil {
		return nil, err
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.UserDataDir(data), chromedp.WSURLReadTimeout(patience),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true))
	ctx, closeBrowser := chromedp.NewContext(allocator)
	stopBrowser = func() {
		closeBrowser()
		stop()
		_ = os.RemoveAll(data)
	}
	return ctx, chromedp.Do(ctx)
})

var stopBrowser = func() {}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	stopBrowser()
	os.Exit(code)
}

// A tab shows one page, and knows what the browser complained about.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu      sync.Mutex
	console []string
}

func open(t *testing.T, url string, before ...chromedp.Action[chromedp.Void]) *tab {
	b, err := browser()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("needs chromium: apt-get install chromium")
	}
	require.NoError(t, err)
	tabCtx, cancel := chromedp.NewContext(b)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(tabCtx)) // opens it; a deadline would be one for its whole life
	ctx, cancel := context.WithTimeout(tabCtx, patience)
	t.Cleanup(cancel)
	tb := &tab{t: t, ctx: ctx}
	go tb.listen(chromedp.Console(tabCtx))
	tb.do(append(before, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(url))...)
	return tb
}

// listen collects exceptions, what is written to the console, and what the browser logs
// itself: a violation of the Content-Security-Policy, for one.
func (tb *tab) listen(messages iter.Seq2[chromedp.ConsoleMessage, error]) {
	for m, err := range messages {
		if err != nil {
			return // the tab is closed
		}
		tb.mu.Lock()
		tb.console = append(tb.console, m.String())
		tb.mu.Unlock()
	}
}

// wantQuietConsole fails if anything at all was written to the console. A message of its
// own, which comes last, tells that everything has come.
func (tb *tab) wantQuietConsole() {
	tb.t.Helper()
	tb.do(chromedp.Evaluate[chromedp.Void]("console.log('all has come')"))
	messages := tb.awaitConsole("all has come")
	require.Equal(tb.t, "log: all has come", messages[0])
	require.Len(tb.t, messages, 1)
}

// awaitConsole waits for a message, and returns all there were.
func (tb *tab) awaitConsole(message string) []string {
	tb.t.Helper()
	var messages []string
	require.Eventually(tb.t, func() bool {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		messages = slices.Clone(tb.console)
		return slices.ContainsFunc(messages, func(m string) bool { return strings.Contains(m, message) })
	}, patience, 5*time.Millisecond, "never came: %s", message)
	return messages
}

func (tb *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	require.NoError(tb.t, chromedp.Do(tb.ctx, actions...))
}

// wait goes on once the expression is true.
func (tb *tab) wait(js string) {
	tb.t.Helper()
	_, err := chromedp.Run(tb.ctx, chromedp.Poll[bool](js,
		chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(0)))
	if err != nil {
		require.NoError(tb.t, err, "never came true: %s\nthe page says: %s", js, tb.told())
	}
}

// told is the page's text, for a test that failed; the tab's own time may be over.
func (tb *tab) told() string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.ctx), 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	return text
}

func eval[T any](tb *tab, js string) T {
	tb.t.Helper()
	result, err := chromedp.Run(tb.ctx, chromedp.Evaluate[T](js))
	require.NoError(tb.t, err)
	return result
}

// texts returns the text of each element that the selector finds.
func (tb *tab) texts(selector string) []string {
	tb.t.Helper()
	return eval[[]string](tb, "[...document.querySelectorAll("+quote(selector)+")].map(e => e.textContent)")
}

func quote(s string) string { return "`" + strings.ReplaceAll(s, "`", "\\`") + "`" }

// shoot writes a screenshot of the whole page, for a person to look at.
func (tb *tab) shoot(name string) {
	if *screenshots == "" {
		return
	}
	png, err := chromedp.Run(tb.ctx, chromedp.FullScreenshot(100))
	require.NoError(tb.t, err)
	require.NoError(tb.t, os.MkdirAll(*screenshots, 0o755))
	require.NoError(tb.t, os.WriteFile(filepath.Join(*screenshots, name+".png"), png, 0o644))
}

func prefers(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
}

// hurried lets the page live ten times as fast.
const hurried = `{
	const now = performance.now.bind(performance), after = setTimeout;
	performance.now = () => 10 * now();
	window.setTimeout = (f, ms, ...args) => after(f, ms / 10, ...args);
}`

// before runs a script in the page before the page's own.
func before(js string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, cdppage.AddScriptToEvaluateOnNewDocument,
			cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: js})
		return err
	})
}

// serve returns the URL of a handler.
func serve(t *testing.T, h http.Handler) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// register shows pools for the time of the test.
func register(t *testing.T, tell ...func(int) inspect.Pool) (all []*story) {
	for _, f := range tell {
		s := &story{tell: f}
		t.Cleanup(registry.Register("", s))
		all = append(all, s)
	}
	return all
}
