package subpool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

// soon is a deadline that a server which is not there does not meet.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestWaitReadyWaitsForMinSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{DialTime: time.Second})
		cc := s.NewClient(t, harness.Policy(`{"minSize":4,"maxSize":8}`))
		require.NoError(t, subpool.WaitReady(t.Context(), cc))
		require.Equal(t, 4, s.Open())
	})
}

func TestWaitReadyWaitsForOneWhereMinSizeIsZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		cc := s.NewClient(t, harness.Policy(`{"minSize":0}`))
		require.NoError(t, subpool.WaitReady(t.Context(), cc))
		require.Equal(t, 1, s.Open())
	})
}

// One connection is there, and no other can be made.
func TestWaitReadySaysWhyTheLastAttemptFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		cc := s.NewClient(t, harness.Policy(`{"size":1}`))
		require.NoError(t, subpool.WaitReady(t.Context(), cc))
		s.Break(harness.Refuse)
		s.Cut()
		synctest.Wait()
		err := subpool.WaitReady(soon(t), cc)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "0 of 1 subchannels are READY: subpool: "+cc.CanonicalTarget()+": last connection error: ")
	})
}

func TestWaitReadyTellsAChannelWithAnotherPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		cc := s.NewClient(t, `{}`)
		require.ErrorContains(t, subpool.WaitReady(t.Context(), cc), "the channel is READY without a pool: its policy is another one")
	})
}

func TestWaitReadyTellsAChannelThatIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := harness.Start(t, harness.Options{})
		cc := s.NewClient(t, harness.Policy(`{}`))
		require.NoError(t, cc.Close())
		require.ErrorContains(t, subpool.WaitReady(t.Context(), cc), "the channel is closed")
	})
}
