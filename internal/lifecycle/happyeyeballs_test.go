package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// dialled returns the addresses at which the last step began to connect.
func (s *story) dialled() (addresses []int) {
	for _, d := range s.did.Dial {
		addresses = append(addresses, d.Address)
	}
	return addresses
}

// tellAddresses tells the story of one subchannel and three addresses.
func tellAddresses(t *testing.T) (*story, *Subchannel) {
	s := tellOf(t, "size=1", "a:1", "b:1", "c:1")
	require.Equal(t, []int{0}, s.dialled())
	return s, s.subchannels[0]
}

// Guards: `h.nextAt = now.Add(attemptDelay)` in happyEyeballs.try.
func TestAnAddressIsTriedAloneForAMoment(t *testing.T) {
	s, sub := tellAddresses(t)
	s.pass(attemptDelay - 1)
	require.Empty(t, s.dialled())
	s.pass(1)
	require.Equal(t, []int{1}, s.dialled())
	require.Equal(t, attemptDelay, s.did.Next.Sub(s.now))
	s.pass(attemptDelay)
	require.Equal(t, []int{2}, s.dialled())
	s.pass(time.Minute)
	require.Empty(t, s.dialled())
	require.Equal(t, Connecting, sub.phase)
}

// Guards: `h.nextAt = time.Time{}` in happyEyeballs.ended, and `left` in ended.
func TestTheNextAddressIsTriedAtOnceWhenOneFails(t *testing.T) {
	s, sub := tellAddresses(t)
	s.Failed(sub, 0, "")
	s.settle()
	require.Equal(t, []int{1}, s.dialled())
	require.Zero(t, s.Failures(), "the attempt goes on")
}

// Guards: `s.attempt.any(addressBackoff)` in Endpoint.BackoffOver.
func TestAnAttemptFailsWithItsLastAddress(t *testing.T) {
	s, sub := tellAddresses(t)
	for address := range 3 {
		require.Equal(t, Connecting, sub.phase)
		s.Failed(sub, address, "")
		s.settle()
	}
	require.Equal(t, Backoff, sub.phase)
	require.Equal(t, 1, s.Failures())

	require.True(t, s.BackoffOver(sub, 2))
	require.True(t, s.BackoffOver(sub, 0))
	require.False(t, s.BackoffOver(sub, 0), "it was over before")
	s.settle()
	require.Equal(t, Backoff, sub.phase, "an address that backs off cannot connect")
	s.BackoffOver(sub, 1)
	s.settle()
	require.Equal(t, []int{0}, s.dialled(), "all over again")
}

// Guards: `h.any(addressConnecting)` in happyEyeballs.ended.
func TestAnAttemptGoesOnWhileOneAddressIsConnecting(t *testing.T) {
	s, sub := tellAddresses(t)
	s.pass(attemptDelay)
	s.pass(attemptDelay)
	s.Failed(sub, 2, "")
	s.Failed(sub, 2, "") // again
	s.Failed(sub, 0, "")
	s.settle()
	require.Equal(t, Connecting, sub.phase)
	s.up(sub, 1)
	require.Equal(t, 1, sub.Address())
}

// Guards: `address != s.attempt.connected` in Endpoint.Lost, and the addition to Plan.Connected.
func TestTheFirstAddressToConnectIsUsed(t *testing.T) {
	s, sub := tellAddresses(t)
	s.pass(attemptDelay)
	s.up(sub, 1)
	s.settle()
	require.Equal(t, []*Subchannel{sub}, s.did.Connected, "its other SubConns are to be shut down")
	require.Equal(t, 1, sub.Address())
	require.False(t, s.Lost(sub, 0, End{}, s.now)) // one of these
	require.True(t, sub.Connected())
	s.Lost(sub, 1, End{}, s.now)
	require.False(t, sub.Connected())
}

// gRPC tells nothing but IDLE of a connection that ends as soon as it is made.
//
// Guards: `case failed` in Endpoint.lostConnecting: after a failure gRPC backs off.
func TestAnAttemptThatEndsWithoutBackoffIsAFlapUnlessAnotherAddressBacksOff(t *testing.T) {
	s, sub := tellAddresses(t)
	for address := range 3 {
		require.Equal(t, address == 2, s.Lost(sub, address, End{}, s.now))
		s.settle()
	}
	require.Equal(t, Idle, sub.phase)
	require.Equal(t, time.Second, s.did.Next.Sub(s.now), "the endpoint backs off")

	s, sub = tellAddresses(t)
	s.Failed(sub, 0, "")
	s.settle()
	for address := 1; address < 3; address++ {
		require.False(t, s.Lost(sub, address, End{}, s.now))
		s.settle()
	}
	require.Equal(t, Backoff, sub.phase)
	require.Equal(t, 1, s.Failures())
	require.Zero(t, s.did.Next, "gRPC backs off")
}

// Guards: `len(h.addresses) != n` in happyEyeballs.begin, and `clear` in won.
func TestTheNextAttemptBeginsWithTheFirstAddress(t *testing.T) {
	s, sub := tellAddresses(t)
	s.pass(attemptDelay)
	s.rise(sub)
	s.pass(time.Minute)
	s.lose(sub)
	s.settle()
	require.Equal(t, []int{0}, s.dialled())
	s.pass(attemptDelay)
	require.Equal(t, []int{1}, s.dialled())
}

// Guards: `case addressBackoff, addressLost` in happyEyeballs.try, and `left` in ended.
func TestAnAttemptBeginsWithItsFirstAddressAgain(t *testing.T) {
	s, sub := tellAddresses(t)
	s.Failed(sub, 0, "")
	s.settle()
	s.Failed(sub, 1, "")
	s.settle()
	require.Equal(t, []int{2}, s.dialled())
	s.BackoffOver(sub, 0)
	s.settle()
	require.Empty(t, s.dialled(), "once is enough")
	require.True(t, s.TryAgain())
	s.settle()
	require.Equal(t, []int{0}, s.dialled())
	s.pass(attemptDelay)
	require.Empty(t, s.dialled(), "one backs off, and one is connecting already")
	s.BackoffOver(sub, 1)
	s.pass(time.Minute)
	require.Empty(t, s.dialled(), "its turn is over")

	s.Failed(sub, 2, "")
	require.Equal(t, Connecting, sub.phase)
	s.Failed(sub, 0, "")
	require.Equal(t, Backoff, sub.phase)
	require.False(t, s.TryAgain(), "no attempt is under way")
}

// Guards: that an attempt that is under way is tried alone for attemptDelay in happyEyeballs.try.
func TestAnAttemptThatBeginsAgainWaitsForTheAddressThatIsConnecting(t *testing.T) {
	s, _ := tellAddresses(t)
	for range 10 {
		s.pass(attemptDelay - 1)
		s.TryAgain()
		s.settle()
		require.Empty(t, s.dialled())
	}
	s.pass(attemptDelay)
	require.Equal(t, []int{1}, s.dialled())
}

// Guards: `addressLost` in Endpoint.lostConnecting.
func TestAnAddressWhoseConnectionWasLostAtOnceIsNotTriedAgainInTheAttempt(t *testing.T) {
	s, sub := tellAddresses(t)
	s.Lost(sub, 0, End{}, s.now)
	s.settle()
	require.Equal(t, []int{1}, s.dialled())
	s.TryAgain()
	s.settle()
	require.Empty(t, s.dialled())
	s.pass(attemptDelay)
	require.Equal(t, []int{2}, s.dialled())
	s.Lost(sub, 1, End{}, s.now)
	require.True(t, s.Lost(sub, 2, End{}, s.now), "that were all")
	s.pass(2 * time.Second)
	require.Equal(t, []int{0}, s.dialled(), "the next attempt tries it")
}
