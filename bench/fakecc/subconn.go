package fakecc

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
)

// A SubConn becomes READY when it is told to connect, and stays so until it is told
// otherwise.
type SubConn struct {
	balancer.SubConn // nil, and its methods are all here
	cc               *ClientConn
	listener         func(balancer.SubConnState)

	mu     sync.Mutex
	state  connectivity.State // IDLE at first
	health func(balancer.SubConnState)
}

// Lose ends the connection.
func (sc *SubConn) Lose() { sc.cc.tell(func() { sc.become(connectivity.Idle) }) }

// Serve says whether the connection is healthy, to who listens to that.
func (sc *SubConn) Serve(well bool) {
	st := balancer.SubConnState{ConnectivityState: connectivity.Ready}
	if !well {
		st = balancer.SubConnState{ConnectivityState: connectivity.TransientFailure, ConnectionError: errSick}
	}
	sc.cc.tell(func() {
		sc.mu.Lock()
		health := sc.health
		sc.mu.Unlock()
		if health != nil {
			health(st)
		}
	})
}

var errSick = errors.New("not serving")

// become changes the state and tells the policy, unless the SubConn is shut down already.
// It runs in the channel's goroutine.
func (sc *SubConn) become(state connectivity.State) {
	sc.mu.Lock()
	before := sc.state
	if before == connectivity.Shutdown || before == state {
		sc.mu.Unlock()
		return
	}
	sc.state, sc.health = state, nil
	sc.mu.Unlock()
	if before == connectivity.Ready {
		sc.cc.ready.Add(-1)
	}
	if state == connectivity.Ready {
		sc.cc.ready.Add(1)
	}
	sc.listener(balancer.SubConnState{ConnectivityState: state})
}

// Connect is called by the policy, as is all that follows.
func (sc *SubConn) Connect() {
	sc.cc.tell(func() {
		sc.become(connectivity.Connecting)
		if sc.cc.dial == Never {
			return
		}
		takes := time.Duration(rand.Float64() * float64(sc.cc.dial))
		time.AfterFunc(takes, func() { sc.cc.tell(func() { sc.become(connectivity.Ready) }) })
	})
}

// Shutdown ends the SubConn; it tells so, as gRPC does.
func (sc *SubConn) Shutdown() {
	sc.cc.mu.Lock()
	delete(sc.cc.alive, sc)
	sc.cc.mu.Unlock()
	sc.cc.tell(func() { sc.become(connectivity.Shutdown) })
}

// RegisterHealthListener says once that the connection is healthy, as without health
// checking.
func (sc *SubConn) RegisterHealthListener(health func(balancer.SubConnState)) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.state != connectivity.Ready {
		return
	}
	sc.health = health
	if health != nil {
		sc.Serve(true)
	}
}

// GetOrBuildProducer builds none.
func (*SubConn) GetOrBuildProducer(balancer.ProducerBuilder) (balancer.Producer, func()) {
	return nil, func() {}
}

// UpdateAddresses does nothing: an address is a name here.
func (*SubConn) UpdateAddresses([]resolver.Address) {}
