package lifecycle

import (
	"slices"
	"time"
)

// attemptDelay is how long one address is tried alone before the next one is tried beside
// it (gRFC A61).
const attemptDelay = 250 * time.Millisecond

// addressState is where the SubConn to one address stands during an attempt.
type addressState uint8

const (
	addressIdle addressState = iota
	addressConnecting
	addressBackoff // gRPC's backoff runs
	addressLost    // it connected, and the connection was lost at once: it is not tried again in this attempt
)

// happyEyeballs is a subchannel's attempt at the addresses of its endpoint, which are
// alternatives: one after the other is tried, after attemptDelay or a failure, and the first
// that connects is used.
type happyEyeballs struct {
	addresses []addressState
	next      int       // the address to look at next
	nextAt    time.Time // and not before
	connected int       // the address that connected last
}

// begin starts a new attempt at n addresses.
func (h *happyEyeballs) begin(n int) {
	if len(h.addresses) != n {
		h.addresses = make([]addressState, n)
	}
	clear(h.addresses)
	h.again()
}

// again begins with the first address once more, in the same attempt.
func (h *happyEyeballs) again() { h.next, h.nextAt = 0, time.Time{} }

// more reports whether there are addresses that the attempt has not looked at.
func (h *happyEyeballs) more() bool { return h.next < len(h.addresses) }

// try looks at the addresses from the next one on: at the first that is idle, which is to be connected now, or
// is connecting already. Either is tried alone for attemptDelay. ok is false if it is not to be connected, or there is none.
func (h *happyEyeballs) try(now time.Time) (address int, ok bool) {
	for h.more() {
		address = h.next
		h.next++
		switch h.addresses[address] {
		case addressIdle, addressConnecting:
			ok = h.addresses[address] == addressIdle
			h.addresses[address] = addressConnecting
			h.nextAt = now.Add(attemptDelay)
			return address, ok
		case addressBackoff, addressLost:
		}
	}
	return 0, false
}

// ended says that the attempt at one address came to nothing. over reports that no other
// address is left, failed that gRPC backs off from one at least.
func (h *happyEyeballs) ended(address int, to addressState) (over, failed bool) {
	if h.addresses[address] != addressConnecting {
		return false, false
	}
	h.addresses[address] = to
	h.nextAt = time.Time{} // the next address need not wait
	left := slices.Contains(h.addresses[h.next:], addressIdle)
	return !left && !h.any(addressConnecting), h.any(addressBackoff)
}

// backoffOver reports whether the address was backing off.
func (h *happyEyeballs) backoffOver(address int) bool {
	if h.addresses[address] != addressBackoff {
		return false
	}
	h.addresses[address] = addressIdle
	return true
}

// won says that an address connected. All other SubConns are of no use any more.
func (h *happyEyeballs) won(address int) {
	clear(h.addresses)
	h.connected = address
}

func (h *happyEyeballs) any(s addressState) bool { return slices.Contains(h.addresses, s) }
