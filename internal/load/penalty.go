package load

import (
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// isTrouble reports whether a server in trouble ends RPCs in this way.
func isTrouble(code codes.Code) bool {
	return code == codes.Unavailable || code == codes.Internal || code == codes.Unknown ||
		code == codes.ResourceExhausted || code == codes.DeadlineExceeded || code == codes.DataLoss
}

// fail takes what the end of an RPC tells that failed. gRPC gives no error where it finds while it sends a
// message that the stream has ended. That is taken for a refusal, though the stream may be lost: then two
// picks of other RPCs may be held for a fresh connection. Were a refused one taken for lost, it could be
// refused twice. Nor is there an error where a picked connection is gone before there is a stream: that
// tells nothing.
func (l *Load) fail(info balancer.DoneInfo) {
	code := status.Code(info.Err)
	streamEnded := code == codes.Unavailable || code == codes.OK && info.BytesSent
	switch {
	case streamEnded && !info.BytesReceived && l.goAwayReceived.Load():
		if !isLost(info.Err) {
			l.waiters.expectRetry()
		}
	case info.BytesSent && isTrouble(code):
		l.penalize()
	case info.BytesReceived:
		l.answered()
	}
	if code == codes.DeadlineExceeded && info.BytesSent && !info.BytesReceived {
		call(l.onUnanswered)
	}
}

// Cost is what least_in_flight compares: the RPCs in flight, and for a while
// those that failed.
func (l *Load) Cost() uint64 {
	return l.word.Load()&inFlightMask + l.Failures()
}

// failures reads the clock, which only a connection with failures has to pay.
func (l *Load) failures(p uint64) uint64 {
	n := decayed(p, unixSecond())
	if n == 0 {
		l.penalty.CompareAndSwap(p, 0) // no more clock reads; a failure meanwhile wins
	}
	return n
}

// penalize reads the clock after the penalty that it adds to: the other way
// round it could look as if the clock had been set back.
//
// The first failure of a second is told, for the policy compares connections that fail.
func (l *Load) penalize() {
	l.failed.Add(1)
	l.failedInARow.Add(1)
	for {
		p := l.penalty.Load()
		second := unixSecond()
		if l.penalty.CompareAndSwap(p, uint64(second)<<32|(decayed(p, second)+1)) {
			if uint32(p>>32) != second {
				call(l.signals.Changed)
			}
			return
		}
	}
}

// Failures returns how many RPCs that failed count for the Cost.
func (l *Load) Failures() uint64 {
	if p := l.penalty.Load(); p != 0 {
		return l.failures(p)
	}
	return 0
}

// BeginWithFailures makes so many count on a new connection, fewer than 2³², though none of its RPCs failed:
// for Failures, and until it answers one for FailedInARow.
func (l *Load) BeginWithFailures(n, inARow uint64) {
	if n > 0 {
		l.penalty.Store(uint64(unixSecond())<<32 | n)
		l.failedInARow.Store(uint32(inARow))
	}
}

// Failed returns how many RPCs the server failed, modulo 2³².
func (l *Load) Failed() uint32 { return l.failed.Load() }

// FailedInARow returns how many RPCs the server failed, one after the other, as far as they still
// count for the Cost.
func (l *Load) FailedInARow() uint64 {
	n := uint64(l.failedInARow.Load())
	if n == 0 { // no clock to read
		return 0
	}
	return min(n, l.Failures())
}

// answered says that the server answered an RPC, and did not fail it.
func (l *Load) answered() {
	if l.failedInARow.Load() != 0 {
		l.failedInARow.Store(0)
	}
}

// decayed returns how many failures of penalty still count: half of them go
// with each second that begins. If the clock was set back, all are forgiven.
func decayed(penalty uint64, second uint32) uint64 {
	return penalty & (1<<32 - 1) >> (second - uint32(penalty>>32))
}

func unixSecond() uint32 { return uint32(time.Now().Unix()) }
