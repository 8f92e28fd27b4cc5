//go:build !linux

package h2conn

const canReadRaw = false

func readRaw(uintptr, []byte) (int, error) { return 0, nil }

func wouldBlock(error) bool { return false }
