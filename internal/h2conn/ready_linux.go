package h2conn

import (
	"errors"
	"syscall"
)

// canReadRaw is where gRPC reads in this way, too.
const canReadRaw = true

// readRaw is in package syscall, as package net's own reads are: the race detector
// knows their order then.
func readRaw(fd uintptr, p []byte) (int, error) {
	n, err := syscall.Read(int(fd), p)
	return max(n, 0), err
}

func wouldBlock(err error) bool { return errors.Is(err, syscall.EAGAIN) }
