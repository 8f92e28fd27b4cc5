package page

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/page"
)

// hostile is text that might be in a target, a name that a resolver gives, or
// an error that a server sends.
const hostile = `"'><img src=x onerror="window.hacked=1"></td></template><script>window.hacked=1</script>{{7*7}}` + "\u202e\u2028"

func TestHostileStringsAreShownAsText(t *testing.T) {
	register(t, func(look int) inspect.Pool {
		p := risingTide(60)
		p.Target, p.Error, p.State, p.Settings.Picker = hostile, hostile, hostile, hostile
		p.Name, p.Ignored = hostile, []string{hostile}
		e := &p.Endpoints[0]
		e.Addresses, e.State, e.Missing = []string{hostile, hostile}, hostile, 1
		s := &e.Subchannels[0]
		s.Address, s.State, s.Replaces, s.Local, s.Remote, s.GoAway = hostile, hostile, hostile, hostile, hostile, hostile
		e.Subchannels[1].State = "backoff"
		p.Endpoints = append(p.Endpoints, inspect.Endpoint{Addresses: []string{hostile}, State: "TRANSIENT_FAILURE"})
		p.Decisions = []inspect.Decision{{At: p.At, What: hostile, Why: hostile}}
		p.Totals.Retired = map[string]int64{hostile: 1}
		return p
	})
	tb := open(t, serve(t, page.Handler(page.AllowRecycle())))
	tb.wait("document.querySelectorAll('tbody tr').length >= 3")
	tb.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.unfold').click()"))
	tb.wait("document.querySelector('.more') != null")
	for _, selector := range []string{"h2 [data-f=target]", "summary .state", ".endpoint h3 .state", "td .state", "td[data-f=address]",
		"td[data-f=replaces]", ".name", ".decisions .what", ".decisions [data-f=why]", ".part dt"} {
		assert.Contains(t, tb.texts(selector), hostile, selector)
	}
	assert.Contains(t, tb.texts("dd"), hostile)
	assert.Contains(t, tb.texts(".more dd"), hostile+" → "+hostile)
	assert.Equal(t, []string{"unknown setting ignored: " + hostile, hostile + " has no subchannel that serves. RPCs go to the others. Last error: " + hostile},
		tb.texts(".troubles > span")[1:])
	assert.Zero(t, eval[int](tb, "document.images.length"))
	assert.Equal(t, 1, eval[int](tb, "document.scripts.length"))
	assert.Equal(t, "undefined", eval[string](tb, "typeof window.hacked"))
	tb.shoot("hostile")
	tb.wantQuietConsole()
}

// The page's policy holds even if its script were to be careless; and the console
// shows it, which is what the other tests rely on.
func TestNothingForeignRunsOnThePage(t *testing.T) {
	for name, js := range map[string]string{
		"HTML from a string":          `document.body.innerHTML = "<b>x</b>"`,
		"a script that is made":       `document.body.append(Object.assign(document.createElement("script"), { text: "window.hacked=1" }))`,
		"a script from elsewhere":     `document.body.append(Object.assign(document.createElement("script"), { src: "x.js" }))`,
		"code from a string, delayed": `setTimeout("window.hacked=1", 1)`,
	} {
		t.Run(name, func(t *testing.T) {
			tb := open(t, serve(t, page.Handler()))
			tb.wait("document.querySelector('#live').textContent == 'live'")
			require.Equal(t, "TypeError", eval[string](tb, `(() => { try { `+js+`; return "done" } catch (e) { return e.name } })()`))
			assert.Equal(t, "undefined", eval[string](tb, "typeof window.hacked"))
			tb.awaitConsole("Trusted")
		})
	}
	for name, js := range map[string]string{
		"a picture from elsewhere": `new Image().src = "http://127.0.0.1:1/x.png"`,
		"a style that is made":     `document.body.setAttribute("style", "color: red")`,
		"a request to elsewhere":   `fetch("http://127.0.0.1:1/").catch(() => {})`,
	} {
		t.Run(name, func(t *testing.T) {
			tb := open(t, serve(t, page.Handler()))
			tb.wait("document.querySelector('#live').textContent == 'live'")
			eval[bool](tb, js+"; true")
			tb.awaitConsole("Content Security Policy")
		})
	}
}
