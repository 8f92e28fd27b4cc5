package page

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/page"
)

func TestThePageShowsWhatAPoolIs(t *testing.T) {
	register(t, risingTide)
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelectorAll('tbody tr').length == 3")
	assert.Equal(t, []string{"dns:///orders.internal.example.com:443"}, tb.texts("h2"))
	assert.Equal(t, []string{"READY"}, tb.texts("summary .state"))
	assert.Equal(t, []string{"11", "18", "25"}, tb.texts("[data-f=id]"))
	assert.Contains(t, tb.texts(".budget")[0], "connections ≤ maxSize + budget + draining: 3 ≤ 8 + 1 + 0")
	assert.Contains(t, tb.texts("dd"), "least_in_flight")
	assert.True(t, eval[bool](tb, "document.querySelector('[data-f=recycle]').hidden"), "read-only")
	tb.wantQuietConsole()
}

func TestThePageTellsWhatIsNoSubchannelsAnyMoreAndWhatIsNotKnown(t *testing.T) {
	register(t, outage)
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelectorAll('tbody tr').length == 6")
	assert.Contains(t, tb.texts("[data-f=inFlightNote]")[0], `and 2 on 1 connection that the server is closing (GOAWAY, code: ENHANCE_YOUR_CALM, debug data: "too_many_pings")`)
	notes := tb.texts(".note")
	assert.Contains(t, notes[0], "the server sets no limit of streams")
	assert.Contains(t, notes[1], "limit of streams unknown")
	tb.wantQuietConsole()
}

func TestThePlotsMove(t *testing.T) {
	register(t, risingTide)
	tb := open(t, serve(t, page.Handler()), before(hurried))
	const line = "document.querySelector('.line')?.getAttribute('d')"
	tb.wait(line + "?.length > 0")
	first := eval[string](tb, line)
	tb.wait(line + ".length > 4 * " + fmt.Sprint(len(first)))
	tb.wait("document.querySelector('.axis').textContent.includes('2 minutes')")
	assert.NotContains(t, eval[string](tb, line), "NaN")
	tb.wantQuietConsole()
}

// A row that stays keeps its element, so that a reader's selection survives.
func TestARowThatStaysIsTheSameElement(t *testing.T) {
	register(t, risingTide)
	tb := open(t, serve(t, page.Handler()), before(hurried))
	tb.wait("document.querySelectorAll('tbody tr').length == 3")
	tb.do(chromedp.Evaluate[chromedp.Void]("document.querySelectorAll('tbody tr').forEach(tr => tr.known = true)"))
	tb.wait("document.querySelectorAll('tbody tr').length > 5")
	assert.Equal(t, "11 18 25", eval[string](tb,
		"[...document.querySelectorAll('tbody tr')].filter(tr => tr.known).map(tr => tr.cells[0].textContent).join(' ')"))
	tb.wantQuietConsole()
}

func TestPoolsComeAndGoWithoutAReload(t *testing.T) {
	register(t, risingTide)
	tb := open(t, serve(t, page.Handler()), before(hurried))
	tb.wait("document.querySelectorAll('.pool').length == 1")
	t.Run("while other pools are there", func(t *testing.T) {
		register(t, well, well, well)
		tb.wait("document.querySelectorAll('.pool').length == 4")
		assert.Equal(t, 3, eval[int](tb, "document.querySelectorAll('.pool[open]').length"), "the first are open")
		tb.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.pool:last-child summary').click()"))
		tb.wait("document.querySelectorAll('.pool:last-child tbody tr').length == 3")
	})
	tb.wait("document.querySelectorAll('.pool').length == 1")
	tb.wantQuietConsole()
}

func TestAProcessWithoutPoolsIsToldSo(t *testing.T) {
	tb := open(t, serve(t, page.Handler()))
	tb.wait("!document.querySelector('#none').hidden")
	tb.wantQuietConsole()
}

func TestThePageWorksWhereAMuxAddsNoSlash(t *testing.T) {
	register(t, risingTide)
	h := http.StripPrefix("/debug/subpool", page.Handler())
	tb := open(t, serve(t, h)+"/debug/subpool")
	tb.wait("document.querySelectorAll('tbody tr').length == 3")
	assert.Regexp(t, "/debug/subpool/json$", eval[string](tb, "document.querySelector('#json').href"))
	tb.wantQuietConsole()
	// Nor is a path with two slashes another host.
	tb = open(t, serve(t, page.Handler())+"//example.test/")
	tb.wait("document.querySelectorAll('tbody tr').length == 3")
	assert.Regexp(t, "^http://127.0.0.1:[0-9]+/example.test/json$", eval[string](tb, "document.querySelector('#json').href"))
	tb.wantQuietConsole()
}

func TestAHiddenPageAsksNothing(t *testing.T) {
	register(t, risingTide)
	tb := open(t, serve(t, page.Handler()), before(hurried), before(`
		window.asked = 0;
		const ask = fetch;
		window.fetch = (...args) => { asked++; return ask(...args); };
		window.hide = hidden => {
			Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
			document.dispatchEvent(new Event("visibilitychange"));
			return asked;
		};`))
	tb.wait("asked > 2")
	atHiding := eval[int](tb, "hide(true)")
	later, err := chromedp.Run(tb.ctx, chromedp.Evaluate[int](
		"new Promise(done => setTimeout(() => done(asked), 20000))", chromedp.EvalAwaitPromise)) // 2 s: it is hurried
	require.NoError(t, err)
	assert.Equal(t, atHiding, later)
	eval[int](tb, "hide(false)")
	tb.wait(fmt.Sprint("asked > ", later+1))
	tb.wantQuietConsole()
}

func TestThePageSaysThatItGetsNoAnswer(t *testing.T) {
	register(t, risingTide)
	h := page.Handler()
	var down atomic.Bool
	tb := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	})), before(hurried))
	tb.wait("document.querySelector('#live').textContent == 'live'")
	down.Store(true)
	tb.wait("/^no answer since .*: HTTP 503$/.test(document.querySelector('#live').textContent)")
	assert.NotEmpty(t, tb.texts("tbody tr"), "what was seen last stays")
	down.Store(false)
	tb.wait("document.querySelector('#live').textContent == 'live'")
}

func TestRecyclingAsksForASecondClick(t *testing.T) {
	all := register(t, outage, risingTide)
	const patient = `{
		const after = setTimeout;
		window.setTimeout = (f, ms, ...args) => ms === 4000 ? 0 : after(f, ms, ...args);
	}`
	tb := open(t, serve(t, page.Handler(page.AllowRecycle())), before(patient))
	tb.wait("document.querySelectorAll('[data-f=recycle]').length == 2")
	click := chromedp.Evaluate[chromedp.Void]("document.querySelectorAll('[data-f=recycle]')[1].click()")
	tb.do(click)
	assert.Equal(t, "Click again to replace them all", tb.texts("[data-f=recycle]")[1])
	assert.Zero(t, all[1].timesRecycled())
	tb.do(click)
	tb.wait("document.querySelectorAll('[data-f=recycle]')[1].textContent.startsWith('Under way')")
	assert.Equal(t, 1, all[1].timesRecycled())
	assert.Zero(t, all[0].timesRecycled(), "another pool")
	tb.wantQuietConsole()
}

func TestOneClickOnRecycleIsForgotten(t *testing.T) {
	register(t, risingTide)
	tb := open(t, serve(t, page.Handler(page.AllowRecycle())), before(hurried))
	tb.wait("document.querySelectorAll('[data-f=recycle]').length == 1")
	tb.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('[data-f=recycle]').click()"))
	tb.wait("document.querySelector('[data-f=recycle]').textContent == 'Recycle all connections'")
	tb.wantQuietConsole()
}
