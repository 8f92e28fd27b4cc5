// Package path is a way between two TCP stacks of the kernel that loses packets: each stack
// is in a network namespace of its own, and what goes from one to the other goes through this
// process, packet by packet.
package path

import (
	"errors"
	"time"
)

// A Line is one direction of a path; both are alike.
type Line struct {
	Delay  time.Duration // of every packet
	Rate   int           // bytes in a second
	Buffer int           // bytes that may wait for their turn; a packet that finds no room is dropped
	Loss   float64       // the part of the packets that chance drops
}

// ErrUnavailable is why there is no path: not on this system, or not for this user.
var ErrUnavailable = errors.New("network namespaces or TUN devices are not to be had")

// ServerHost is the address of the server's end.
const ServerHost = "10.99.0.2"

const clientHost = "10.99.0.1"
