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
)

// happyEyeballs is a subchannel's attempt at the addresses of its endpoint, which are
// alternatives: one after the other is tried, after attemptDelay or a failure, and the first
// that connects is used.
type happyEyeballs struct {
	addresses []addressState
	next      int       // the address to try next, if it is idle; else the first idle one after it
	nextAt    time.Time // no next address before
	connected int       // the address that connected last
}

// begin starts a new attempt at n addresses.
func (h *happyEyeballs) begin(n int) {
	if len(h.addresses) != n {
		h.addresses = make([]addressState, n)
	}
	h.again()
}

// again lets the attempt try all addresses once more, but for those that are connecting or backing off.
func (h *happyEyeballs) again() { h.next, h.nextAt = 0, time.Time{} }

// more reports whether there are addresses that this attempt has not tried.
func (h *happyEyeballs) more() bool {
	return h.next < len(h.addresses) && slices.Contains(h.addresses[h.next:], addressIdle)
}

// try returns the next address, which is to be connected now. There must be more.
func (h *happyEyeballs) try(now time.Time) (address int) {
	address = h.next + slices.Index(h.addresses[h.next:], addressIdle)
	h.next = address + 1
	h.nextAt = now.Add(attemptDelay)
	h.addresses[address] = addressConnecting
	return address
}

// ended says that the attempt at one address came to nothing. over reports that no other
// address is left, failed that gRPC backs off from one at least.
func (h *happyEyeballs) ended(address int, to addressState) (over, failed bool) {
	if h.addresses[address] != addressConnecting {
		return false, false
	}
	h.addresses[address] = to
	h.nextAt = time.Time{} // the next address need not wait
	return !h.more() && !h.any(addressConnecting), h.any(addressBackoff)
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
