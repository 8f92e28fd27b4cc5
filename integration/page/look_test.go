package page

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/page"
)

func TestThePageIsDarkWhereTheReaderWantsItDark(t *testing.T) {
	tide := register(t, risingTide, outage)[0]
	url := serve(t, page.Handler(page.AllowRecycle()))
	for _, scheme := range []string{"light", "dark"} {
		t.Run(scheme, func(t *testing.T) {
			tide.rewind(*startAt, 265)
			tb := open(t, url, before(hurried), prefers(scheme))
			tb.wait("document.querySelector('[data-f=waiting]')?.textContent == " + strconv.Itoa(tide.tell(265).Queued))
			tb.shoot("whole-" + scheme)
			paper := luminance(t, eval[string](tb, "getComputedStyle(document.body).backgroundColor"))
			assert.Equal(t, scheme == "dark", paper < 0.1)
			for _, selector := range []string{"h1", "h2", "#summary", "#wrong", "th", "td", ".note", ".troubles .warn", ".what", "dt", "dd",
				".state.warn", ".state.bad", ".alert b", "tr.full [data-f=inFlight]", "button"} {
				ink := luminance(t, eval[string](tb, "getComputedStyle(document.querySelector("+quote(selector)+")).color"))
				contrast := (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)
				assert.GreaterOrEqual(t, contrast, 4.5, selector) // WCAG 2, AA
			}
			tb.wantQuietConsole()
		})
	}
}

// luminance is that of WCAG 2, for a colour like rgb(1, 2, 3).
func luminance(t *testing.T, color string) float64 {
	parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(color, "rgb("), ")"), ", ")
	require.Len(t, parts, 3, color)
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.Atoi(parts[i])
		require.NoError(t, err, color)
		c := float64(n) / 255
		if c <= 0.04045 {
			sum += weight * c / 12.92
		} else {
			sum += weight * math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return sum
}

func TestOnANarrowScreenNothingIsCutOff(t *testing.T) {
	register(t, well, partly, suspicious, misspelt, capped, short, failing, outage, large(64))
	tb := open(t, serve(t, page.Handler(page.AllowRecycle())))
	tb.do(chromedp.EmulateViewport(360, 740))
	tb.wait("document.querySelectorAll('tbody tr').length > 6")
	tb.shoot("narrow")
	assert.LessOrEqual(t, eval[int](tb, "document.documentElement.scrollWidth"), 360)
	tb.wantQuietConsole()
}

func TestOnAPhoneTheLoadOfAConnectionIsANumberBeforeABar(t *testing.T) {
	register(t, short)
	tb := open(t, serve(t, page.Handler()))
	tb.do(chromedp.EmulateViewport(360, 740))
	tb.wait("document.querySelectorAll('tbody tr').length == 4")
	tb.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.unfold').click()"))
	tb.wait("document.querySelectorAll('tbody tr').length == 5")
	tb.shoot("phone")
	left := eval[[]float64](tb, `[...document.querySelector('tr.subchannel').querySelectorAll('[data-f=inFlight], [data-f=limit], .bar')].map(
		e => e.getBoundingClientRect()).flatMap(r => [r.left, r.right])`)
	assert.IsNonDecreasing(t, left)
	assert.LessOrEqual(t, left[len(left)-1], 360.0)
	assert.Greater(t, left[len(left)-1]-left[len(left)-2], 30.0, "the bar can be seen")
	assert.False(t, eval[bool](tb, "[...document.querySelectorAll('.subchannel td')].some(td => td.offsetWidth && td.scrollWidth > td.clientWidth)"), "a cell is cut off")
	assert.LessOrEqual(t, eval[int](tb, "document.querySelector('.scroll').scrollWidth"), 360, "the table is wider than the phone")
	assert.Contains(t, tb.texts(".more .narrow dt"), "Started", "what a wide table has in columns")
	tb.wantQuietConsole()
}

func TestThePageOfAnIncidentIsReadable(t *testing.T) {
	register(t, well, partly, suspicious, misspelt, capped, short, failing, large(64))
	url := serve(t, page.Handler())
	for _, scheme := range []string{"light", "dark"} {
		tb := open(t, url, prefers(scheme))
		tb.wait("document.querySelectorAll('.pool').length == 8")
		tb.do(chromedp.Evaluate[chromedp.Void]("document.querySelectorAll('.pool')[7].open = document.querySelectorAll('.pool')[6].open = true; document.querySelectorAll('.unfold')[3].click()"))
		tb.wait("document.querySelectorAll('[data-f=waitingRate]')[1].textContent > ''")
		tb.shoot("incidents-" + scheme)
	}
}
