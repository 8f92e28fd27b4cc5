//go:build linux

package service

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clients is how many programs of a kind use the Service side by side.
const clients = 12

// The kernel draws a backend for each connection. What one client has is chance, but a plain
// channel has one backend; that all 8 connections of one of 12 pools have the same of 5 happens
// once in 6,000 runs.
func TestAPoolReachesSeveralBackendsOfAService(t *testing.T) {
	s := startService(t, 5, 0)
	plain, pool := new(crowd), new(crowd)
	for range clients {
		plain.add(t, openPlain(t), len(s.backends))
		pool.add(t, openPool(t, ""), len(s.backends))
	}
	t.Logf("%d clients, 5 backends: plain: a client reaches %.1f backends, shares %s (off by %.0f %%); pool of 8: %.1f, %s (%.0f %%)", clients,
		mean(plain.reached), percent(plain.shares()), 100*plain.deviation(), mean(pool.reached), percent(pool.shares()), 100*pool.deviation())
	for i := range clients {
		assert.Equal(t, 1, plain.reached[i], "a plain channel has one connection")
		assert.Greater(t, pool.reached[i], 1, "a pool has one backend")
	}
}

// A crowd is clients of a kind.
type crowd struct {
	reached  []int // backends, by client
	answered []int // RPCs, by backend
}

// add lets a client make 400 RPCs.
func (w *crowd) add(t *testing.T, c *channel, backends int) {
	t.Helper()
	counts := make([]int, backends)
	for range 400 {
		backend, err := c.call(time.Minute)
		require.NoError(t, err)
		counts[backend]++
	}
	if w.answered == nil {
		w.answered = make([]int, backends)
	}
	reached := 0
	for i, n := range counts {
		w.answered[i] += n
		if n > 0 {
			reached++
		}
	}
	w.reached = append(w.reached, reached)
}

// shares are what part of all RPCs each backend got.
func (w *crowd) shares() (shares []float64) {
	sum := 0
	for _, n := range w.answered {
		sum += n
	}
	for _, n := range w.answered {
		shares = append(shares, float64(n)/float64(sum))
	}
	return shares
}

// deviation is the standard deviation of a backend's share, as a part of the mean.
func (w *crowd) deviation() float64 {
	squares := 0.0
	fair := 1 / float64(len(w.answered))
	for _, s := range w.shares() {
		squares += (s/fair - 1) * (s/fair - 1)
	}
	return math.Sqrt(squares / float64(len(w.answered)))
}

func mean(counts []int) float64 {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return float64(sum) / float64(len(counts))
}
