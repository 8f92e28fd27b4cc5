package main

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestThePageShowsAPoolThatFollowsTheLoad(t *testing.T) {
	url, stop, err := servePage("127.0.0.1:0")
	require.NoError(t, err)
	defer stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- actFour(ctx, time.Second) }()
	for subchannels(t, url) < 8 {
		require.NoError(t, ctx.Err(), "the pool has not grown")
		time.Sleep(10 * time.Millisecond) // between two looks
	}
	cancel()
	require.NoError(t, <-ended)
}

// subchannels returns how many the page's pool has.
func subchannels(t *testing.T, url string) int {
	response, err := http.Get(url + "json")
	require.NoError(t, err)
	defer response.Body.Close()
	var pools []struct{ Endpoints []struct{ Subchannels []any } }
	require.NoError(t, json.NewDecoder(response.Body).Decode(&pools))
	if len(pools) == 0 || len(pools[0].Endpoints) == 0 {
		return 0
	}
	return len(pools[0].Endpoints[0].Subchannels)
}
