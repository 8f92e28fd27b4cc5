package page

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
	"github.com/grpc-subpool/subpool/page"
)

const rows = "[...document.querySelectorAll('tbody tr')]"

func TestAPoolThatGrowsUnderLoadIsSeenToGrow(t *testing.T) {
	s := harness.Start(t, harness.Options{TCP: true, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(10)}})
	cc := s.NewClient(t, harness.Policy(`{"maxSize":4}`))
	cc.Connect()
	tb := open(t, serve(t, page.Handler(page.AllowRecycle())))
	tb.wait(rows + ".length == 1 && " + rows + "[0].cells[1].textContent == 'ready'")
	assert.Equal(t, []string{"passthrough:///" + s.Addr()}, tb.texts("h2"))
	tb.wait("document.querySelector('.endpoint .note').textContent.includes('10 streams')")
	flat := eval[string](tb, "document.querySelector('.line').getAttribute('d')")

	endAll := holdStreams(t, cc, 36)
	tb.wait(rows + ".filter(tr => tr.cells[1].textContent == 'ready').length == 4")
	tb.wait("document.querySelector('[data-f=inFlight]').textContent == '36'")
	tb.wait("document.querySelector('[data-f=size]').textContent == '4'")
	assert.NotEqual(t, flat, eval[string](tb, "document.querySelector('.line').getAttribute('d')"))
	assert.Contains(t, tb.texts(".decisions .what"), "grew")
	assert.Regexp(t, `^\d→\d: \d+ in flight, \d+ per subchannel, limit 10`, strings.Join(grown(tb), "\n"))
	assert.NotContains(t, tb.texts(".budget")[0], "!")
	tb.shoot("growth")

	orders := "document.body.dataset.first"
	tb.do(chromedp.Evaluate[chromedp.Void](orders + " = " + rows + ".map(tr => tr.cells[0].textContent)"))
	tb.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('[data-f=recycle]').click(); document.querySelector('[data-f=recycle]').click()"))
	tb.wait(rows + ".some(tr => tr.cells[1].textContent == 'draining, recycle')")
	tb.shoot("recycle")
	endAll()
	tb.wait(rows + ".length > 0 && " + rows + ".every(tr => !" + orders + ".split(',').includes(tr.cells[0].textContent))")
	tb.shoot("recycled")

	require.NoError(t, cc.Close())
	tb.wait("document.querySelectorAll('.pool').length == 0")
	tb.wantQuietConsole()
}

// grown returns why the pool grew.
func grown(tb *tab) []string {
	return eval[[]string](tb, `[...document.querySelectorAll('.decisions li')].filter(
		li => li.querySelector('.what').textContent == 'grew').map(li => li.querySelector('[data-f=why]').textContent)`)
}

// holdStreams opens n streams that last until they are ended.
func holdStreams(t *testing.T, cc *grpc.ClientConn, n int) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	for range n {
		_, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(ctx, grpc.WaitForReady(true))
		require.NoError(t, err)
	}
	return cancel
}

func TestWhyRPCsOfARealPoolWaitIsTheFirstThingSaid(t *testing.T) {
	s := harness.Start(t, harness.Options{TCP: true, Server: []grpc.ServerOption{grpc.MaxConcurrentStreams(10)}})
	cc := s.NewClient(t, harness.Policy(`{"size":2,"name":"checkout"}`))
	endAll := holdStreams(t, cc, 20)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	for range 8 {
		go grpc_testing.NewTestServiceClient(cc).FullDuplexCall(ctx, grpc.WaitForReady(true)) //nolint:errcheck // it ends with the test
	}
	tb := open(t, serve(t, page.Handler()))
	tb.wait("document.querySelector('.troubles')?.textContent == '8 RPCs wait: the server allows 10 streams a connection, " +
		"demand calls for 4 subchannels, maxSize is 2. They get a stream only as others end.'")
	assert.Equal(t, []string{"checkout"}, tb.texts(".name"))
	tb.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.unfold').click()"))
	tb.wait("document.querySelector('.more dd')?.textContent.endsWith(' → " + s.Addr() + "')")
	assert.Regexp(t, `^[1-9]\d*$`, tb.texts(".more dd")[4], "gRPC's number of the subchannel")
	endAll()
	tb.wait("document.querySelector('[data-f=waitingRate]').textContent.endsWith(' waited on average')")
	tb.wait("!document.querySelector('.troubles').textContent.includes('RPCs wait:')")
	tb.wantQuietConsole()
}
