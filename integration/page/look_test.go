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
			for _, selector := range []string{"h1", "h2", "#summary", "th", "td", ".note", ".error", ".what", "dt", "dd",
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
	register(t, risingTide, outage)
	tb := open(t, serve(t, page.Handler(page.AllowRecycle())))
	tb.do(chromedp.EmulateViewport(390, 844))
	tb.wait("document.querySelectorAll('tbody tr').length > 6")
	tb.shoot("narrow")
	assert.LessOrEqual(t, eval[int](tb, "document.documentElement.scrollWidth"), 390)
	tb.wantQuietConsole()
}
