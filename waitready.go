package subpool

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/settings"
)

// WaitReady connects cc and waits until its pool has as many READY subchannels of each
// endpoint as MinSize says, or one where that is 0. Call it before a program opens many long
// streams: the first connection is READY before the others, and would get them all.
//
// The error says how many are READY, and why the last attempt failed; it wraps that of ctx. If a
// channel becomes READY and no pool has its target, its policy is another one: that is an error
// at once.
//
// gRPC does not tell which pool is whose. Where several channels of the process have the target
// of cc, it waits for all their pools that are in the state of cc.
func WaitReady(ctx context.Context, cc *grpc.ClientConn) error {
	target := settings.HideUserinfo(cc.CanonicalTarget())
	for {
		// The state comes first: a channel that is READY has its pool by then.
		state := cc.GetState()
		if state == connectivity.Idle { // at first, or again; in another state it would cut a backoff short
			cc.Connect()
		}
		missing, pools := missingOf(target, state)
		switch {
		case pools > 0 && missing == "":
			return nil
		case state == connectivity.Shutdown:
			return fmt.Errorf("subpool: %s: the channel is closed", target)
		case pools == 0 && state == connectivity.Ready:
			return fmt.Errorf("subpool: %s: the channel is READY without a pool: its policy is another one", target)
		}
		select {
		case <-ctx.Done():
			if pools == 0 {
				missing = fmt.Sprintf("the channel is %v and has no pool", state)
			}
			return fmt.Errorf("subpool: %s: %s: %w", target, missing, ctx.Err())
		case <-time.After(waitReadyInterval):
		}
	}
}

// waitReadyInterval is how often WaitReady looks: it is about as long as a handshake takes.
const waitReadyInterval = 5 * time.Millisecond

// missingOf says what the pools of target that are in this state wait for, and how many pools of it
// there are. In another state is the pool of another channel, or one whose state has just changed.
func missingOf(target string, state connectivity.State) (missing string, pools int) {
	missing = "its pool is in another state"
	for _, handle := range Pools() {
		p, ok := handle.Snapshot()
		if !ok || p.Target != target {
			continue
		}
		if pools++; p.State != state.String() {
			continue
		}
		if missing = missingIn(p); missing != "" {
			break
		}
	}
	return missing, pools
}

// missingIn says what p waits for; empty if it has what it should.
func missingIn(p inspect.Pool) string {
	ready, wanted := 0, 0
	for _, e := range p.Endpoints {
		if e.Removed {
			continue
		}
		n := 0
		for _, s := range e.Subchannels {
			if s.State == "ready" {
				n++
			}
		}
		least := max(1, e.MinSize)
		ready, wanted = ready+min(n, least), wanted+least
	}
	if ready == wanted && wanted > 0 {
		return ""
	}
	missing := fmt.Sprintf("%d of %d subchannels are READY", ready, wanted)
	if p.Error != "" {
		missing += ": " + p.Error
	}
	return missing
}
