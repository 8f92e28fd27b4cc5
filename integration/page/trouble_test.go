package page

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"

	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/page"
)

// hosts are the pools on the page in their order, by the first label of their targets.
func hosts(tb *tab) (all []string) {
	for _, target := range tb.texts("[data-f=target]") {
		all = append(all, strings.TrimPrefix(strings.Split(target, ".")[0], "dns:///"))
	}
	return all
}

// troublesOf is what the page says is wrong with a pool.
func troublesOf(tb *tab, host string) []string {
	return eval[[]string](tb, `[...document.querySelectorAll('.pool')].filter(
		pool => pool.querySelector('h2').textContent.startsWith('dns:///`+host+`')).flatMap(
		pool => [...pool.querySelectorAll('.troubles > span')].map(e => e.textContent))`)
}

func TestThePoolWithTheWorstTroubleComesFirst(t *testing.T) {
	register(t, well, partly, suspicious, misspelt, capped, short, failing)
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelectorAll('.pool').length == 7")
	assert.Equal(t, []string{"failing", "short", "capped", "misspelt", "suspicious", "partly", "well"}, hosts(tb))
	tb.wantQuietConsole()
}

func TestPoolsWithSomethingWrongAreOpen(t *testing.T) {
	register(t, well, partly, suspicious, misspelt, capped, short, failing)
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelectorAll('.pool').length == 7")
	assert.Equal(t, []bool{true, true, true, true, true, true, false},
		eval[[]bool](tb, "[...document.querySelectorAll('.pool')].map(pool => pool.open)"))
}

func TestHeaderAndTitleCountThePoolsWithSomethingWrong(t *testing.T) {
	register(t, well, short)
	tb := open(t, serve(t, page.Handler()))
	t.Run("while there are some", func(t *testing.T) {
		register(t, failing)
		tb.wait("document.title == '(2) subpool'")
		assert.Equal(t, []string{"2 with something wrong"}, tb.texts("#wrong"))
		assert.Contains(t, tb.texts("#summary")[0], "3 pools")
	})
	tb.wait("document.title == '(1) subpool'")
	assert.Equal(t, []string{"1 with something wrong"}, tb.texts("#wrong"))
}

// What is open may fill the screen.
func TestSeveralPoolsWithSomethingWrongAreListedBeforeAllElse(t *testing.T) {
	register(t, well, misspelt, short)
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelectorAll('#overview li').length == 2")
	assert.Equal(t, []string{"dns:///short.internal.example.com:443 checkout", "dns:///misspelt.internal.example.com:443"}, tb.texts("#overview a"))
	assert.Equal(t, []string{troublesOf(tb, "short")[0], "unknown setting ignored: maxsize"}, tb.texts("#overview span"))
	assert.True(t, eval[bool](tb, "document.querySelector(document.querySelectorAll('#overview a')[1].getAttribute('href')).textContent.includes('misspelt')"))
	tb.wantQuietConsole()
}

func TestOnePoolWithSomethingWrongIsNotSaidTwice(t *testing.T) {
	register(t, well, short)
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.title == '(1) subpool'")
	assert.Empty(t, tb.texts("#overview li"))
}

func TestWhereNothingIsWrongNothingIsCounted(t *testing.T) {
	register(t, well)
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelectorAll('.pool').length == 1")
	assert.Equal(t, "subpool", eval[string](tb, "document.title"))
	assert.Equal(t, []string{""}, tb.texts("#wrong"))
	assert.Empty(t, tb.texts(".troubles > span"))
}

func TestAPoolSaysInWordsWhatIsWrongAndWhatFollows(t *testing.T) {
	refusing := named("dns:///refusing", func(look int) inspect.Pool {
		p := capped(look)
		p.Settings.MaxPending, p.Endpoints[0].Limit = 0, 10
		return p
	})
	full := named("dns:///full", func(look int) inspect.Pool {
		p := short(look)
		p.Queued, p.Endpoints[0].Missing = 1, 0
		return p
	})
	crowded := named("dns:///crowded", func(look int) inspect.Pool {
		p := short(look)
		p.Endpoints[0].Limit = 150
		p.Endpoints = append(p.Endpoints, inspect.Endpoint{Addresses: []string{"10.20.0.32:443"}, MaxSize: 4, Missing: 3, Limit: 150})
		return p
	})
	register(t, failing, short, connecting, full, crowded, capped, refusing, misspelt, suspicious, partly, outage)
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelectorAll('.pool').length == 11")
	for host, want := range map[string]string{
		"failing":    "RPCs fail, those with WaitForReady wait: no subchannel serves (2 idle, 1 in backoff). Last error: " + refusedError,
		"short":      "40 RPCs wait: the server allows 10 streams a connection, demand calls for 15 subchannels, maxSize is 4. They get a stream only as others end.",
		"connecting": "12 RPCs wait for a connection: 1 connecting.",
		"full":       "1 RPC waits: connections are full, the server allows 10 streams a connection; 4 ready, maxSize is 4.",
		"crowded": "40 RPCs wait: the server allows 150 streams a connection, demand calls for 15 subchannels of 10.20.0.31:443 at targetStreams 100, " +
			"maxSize is 4; so it is at 1 other endpoint. They get a stream only as others end.",
		"capped": "The server sets no limit of streams, demand calls for 6 subchannels at targetStreams 100, maxSize is 4. " +
			"Under such a load connections carry more than targetStreams.",
		"refusing":   "The server allows 10 streams a connection, demand calls for 6 subchannels, maxSize is 4. Under such a load RPCs are refused.",
		"misspelt":   "unknown setting ignored: maxsize",
		"suspicious": "Subchannel 18 is suspect (no answers, or more failures than siblings have): RPCs go there only if no other has room.",
		"partly":     "Of 3 subchannels 1 is in backoff. RPCs go to the others. Last error: " + refusedError,
	} {
		assert.Equal(t, []string{want}, troublesOf(tb, host))
	}
	tb.wantQuietConsole()
}

func TestAnIgnoredSettingIsABanner(t *testing.T) {
	register(t, misspelt)
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelectorAll('.pool').length == 1")
	assert.Equal(t, []string{"unknown setting ignored: maxsize"}, tb.texts("summary .banner"))
}

// wrongFrom is a pool with something wrong from the third look on.
func wrongFrom(look int) inspect.Pool {
	if look < 3 {
		return named("dns:///changing", well)(look)
	}
	return named("dns:///changing", short)(look)
}

func TestAPoolOpensWhenSomethingBecomesWrong(t *testing.T) {
	register(t, well, well, well, wrongFrom)
	tb := open(t, serve(t, page.Handler()), before(hurried))
	tb.wait("document.title == '(1) subpool'")
	assert.Equal(t, "changing", hosts(tb)[0])
	assert.True(t, eval[bool](tb, "document.querySelector('.pool').open"))
}

func TestAPoolThatTheReaderClosedStaysClosed(t *testing.T) {
	changing := register(t, wrongFrom)[0]
	changing.rewind(0, 1)
	tb := open(t, serve(t, page.Handler()), before(hurried))
	tb.wait("document.querySelector('.pool')?.open")
	tb.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.pool > summary').click()"))
	changing.rewind(1, 0)
	tb.wait("document.title == '(1) subpool'")
	assert.False(t, eval[bool](tb, "document.querySelector('.pool').open"))
}

func TestAPoolWithAPassingTroubleKeepsItsPlaceForAWhile(t *testing.T) {
	register(t, well, func(look int) inspect.Pool {
		p := named("dns:///now-and-then", well)(look)
		p.Held = (look + 1) % 2
		return p
	})
	tb := open(t, serve(t, page.Handler()), before(hurried))
	tb.wait("document.querySelector('h2')?.textContent == 'dns:///now-and-then' && document.title == 'subpool'")
	tb.wantQuietConsole()
}

func TestRatesAreOfTheTimeBetweenTwoLooks(t *testing.T) {
	register(t, short)
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelector('[data-f=inFlightRate]')?.textContent > ''")
	assert.Equal(t, []string{"50 RPC/s, 2 failed/s"}, tb.texts("[data-f=inFlightRate]"))
	assert.Equal(t, []string{"500 ms waited on average"}, tb.texts("[data-f=waitingRate]"))
}

func TestAPeakOfSeveralEndpointsIsNotMadeUp(t *testing.T) {
	register(t, well, outage)
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelectorAll('.pool').length == 2")
	notes := tb.texts("[data-f=inFlightNote]")
	assert.Contains(t, notes[0], "peaks of endpoints add up to at most 41 in 4m")
	assert.Equal(t, "peak 861 in 4m", notes[1])
}

func TestThePoolsNameIsBesideItsTarget(t *testing.T) {
	register(t, short)
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelectorAll('.pool').length == 1")
	assert.Equal(t, []string{"checkout"}, tb.texts("summary h2 .name"))
}
