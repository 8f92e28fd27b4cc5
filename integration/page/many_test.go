package page

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"

	"github.com/grpc-subpool/subpool/page"
)

func TestTwentySubchannelsAreShownAtOnce(t *testing.T) {
	register(t, large(20))
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelectorAll('tbody tr').length == 20")
	assert.True(t, eval[bool](tb, "document.querySelector('.tallies').hidden"))
}

func TestMoreThanTwentySubchannelsAreSummedUp(t *testing.T) {
	register(t, large(64))
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelector('.tallies')?.hidden === false")
	tally := func(by string) []string {
		return eval[[]string](tb, "[...document.querySelectorAll('[data-f="+by+"] > div')].map(div => div.children[0].textContent + ': ' + div.children[1].textContent)")
	}
	assert.Equal(t, []string{"ready: 62", "draining: 2"}, tally("byState"))
	assert.Equal(t, []string{"under 1 min: 6", "1 to 10 min: 18", "10 to 60 min: 36", "1 to 24 h: 4"}, tally("byAge"))
	assert.Equal(t, []string{"none: 1", "to 25 %: 16", "to 50 %: 15", "to 75 %: 16", "below 100 %: 15", "100 %: 1"}, tally("byLoad"))
	assert.Empty(t, tb.texts("tbody tr"), "the table is for those who ask")
	tb.wantQuietConsole()
}

func TestTheTableOfManySubchannelsIsThereOnDemand(t *testing.T) {
	register(t, large(1024))
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelector('.tallies')?.hidden === false")
	assert.Equal(t, []string{"Each of the 1,024 subchannels"}, tb.texts(".rows > summary"))
	tb.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.rows > summary').click()"))
	tb.wait("document.querySelectorAll('tbody tr').length == 1024")
	tb.wantQuietConsole()
}

func TestARowUnfoldsWhatIsKnownOfItsConnection(t *testing.T) {
	register(t, short)
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelectorAll('tbody tr').length == 4")
	const columns = "[...document.querySelectorAll('th')].map(th => th.getBoundingClientRect().left).join()"
	folded := eval[string](tb, columns)
	tb.do(chromedp.Evaluate[chromedp.Void]("document.querySelectorAll('.unfold')[1].click()"))
	tb.wait("document.querySelectorAll('tbody tr').length == 5")
	assert.Equal(t, folded, eval[string](tb, columns), "the columns stay where they are")
	assert.Equal(t, []string{"Connection: 10.0.0.7:48701 → 10.20.0.31:443", "Round trip: 1.3 ms, least 870 µs, ± 310 µs",
		"Retransmitted: 31 of 12,044 packets", "Under way: 2 of 10 segments", "channelz id: 41",
		`Server sent: GOAWAY, code: NO_ERROR, debug data: "max_age"`},
		eval[[]string](tb, "[...document.querySelectorAll('.more dl > div:not(.narrow)')].map(div => div.children[0].textContent + ': ' + div.children[1].textContent)"))
	assert.Equal(t, "true", eval[string](tb, "document.querySelectorAll('.unfold')[1].ariaExpanded"))
	tb.do(chromedp.Evaluate[chromedp.Void]("document.querySelectorAll('.unfold')[1].click()"))
	tb.wait("document.querySelectorAll('tbody tr').length == 4")
	tb.wantQuietConsole()
}
