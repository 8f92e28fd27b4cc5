package harness

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Renewing is settings of size connections that are replaced all the time.
const Renewing = `{"size":4,"maxLifetime":"0.3s","lifetimeJitter":0}`

// Renewed makes operations of a client, from four callers, until the server has had as many
// connections as four lives of a pool with the settings of [Renewing]. It prints what came of
// them; none may fail. connections is how many the server has had.
func Renewed(t testing.TB, connections func() int, operation func(context.Context) error) {
	t.Helper()
	const enough = 16
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var made, failed atomic.Int64
	var first atomic.Value
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil && connections() < enough {
				made.Add(1)
				if err := operation(ctx); err != nil && failed.Add(1) == 1 {
					first.Store(err)
				}
			}
		})
	}
	callers.Wait()
	t.Logf("%d operations, %d failed, %d connections", made.Load(), failed.Load(), connections())
	assert.Zero(t, failed.Load(), "%v", first.Load())
	require.GreaterOrEqual(t, connections(), enough)
}
