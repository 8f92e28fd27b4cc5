package balancer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/connectivity"
)

func TestARenewalConnectsFirst(t *testing.T) {
	s := tell(t, `{"size":4,"maxLifetime":"1h"}`)
	s.connect()
	old := s.in(ready)
	s.pass(time.Hour)
	s.want(ready, 4)
	s.want(dialing, 1) // the budget
	require.True(t, s.did.resolve, "each renewal asks the resolver")

	s.rise(s.in(dialing)[0], s.now)
	s.settle()
	s.want(ready, 4)
	require.Equal(t, old[:1], s.did.drain)
	s.want(dialing, 1) // the next
}

func TestOneOfManyTenthsIsRenewedAtOnce(t *testing.T) {
	s := tell(t, `{"size":40,"maxLifetime":"1h"}`)
	s.connect()
	s.pass(time.Hour)
	s.want(dialing, 4)
	s.want(ready, 40)
}

func TestTheOldConnectionStaysWhenItsSuccessorCannotConnect(t *testing.T) {
	s := tell(t, `{"size":4,"maxLifetime":"1h"}`)
	s.connect()
	s.pass(time.Hour)
	for range 10 {
		s.refuse()
		s.want(ready, 4)
		s.want(dialing, 0)
		s.pass(time.Minute)
		s.want(dialing, 0) // gRPC's backoff runs
		s.rested()
		s.want(dialing, 1)
	}
	s.connect()
	s.want(draining, 1)
}

func TestWhenADueConnectionIsLostItsSuccessorTakesItsPlace(t *testing.T) {
	s := tell(t, `{"size":4,"maxLifetime":"1h"}`)
	s.connect()
	s.pass(time.Hour)
	successor := s.in(dialing)[0]
	s.cut()
	s.want(dialing, 4)
	require.Contains(t, s.in(dialing), successor)
	require.Len(t, s.slots, 4, "no slot too many")
}

func TestAnEndpointThatDrainsItsMaximumStartsNoRenewal(t *testing.T) {
	s := tell(t, `{"size":2,"maxLifetime":"1h"}`)
	s.connect()
	for range 2 {
		s.pass(time.Hour)
		s.connect()
		s.connect()
	}
	s.want(draining, 2)
	s.pass(time.Hour)
	s.want(dialing, 0)
	s.want(ready, 2)
	s.finish()
	s.want(dialing, 1)
}

// Guards: `e.urgent()` in endpoint.plan.
func TestWhatAnswersNothingIsRenewedThoughAsManyDrain(t *testing.T) {
	s := tell(t, `{"size":2,"maxLifetime":"1h","unresponsiveTimeout":"2s"}`)
	s.connect()
	for range 2 {
		s.pass(time.Hour)
		s.connect()
		s.connect()
	}
	s.want(draining, 2)
	require.True(t, s.suspect(s.in(ready)[0], s.now))
	s.settle()
	s.want(dialing, 1)
}

func TestASuccessorThatIsNotWellReplacesNobody(t *testing.T) {
	s := tell(t, `{"size":2,"maxLifetime":"1h"}`)
	s.connect()
	s.pass(time.Hour)
	successor := s.in(dialing)[0]
	s.up(successor, 0, s.now)
	s.checked(successor, connectivity.TransientFailure)
	s.settle()
	s.want(ready, 2)
	s.want(draining, 0)
	s.checked(successor, connectivity.Ready)
	s.settle()
	s.want(draining, 1)
}
