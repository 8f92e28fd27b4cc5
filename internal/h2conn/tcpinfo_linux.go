//go:build linux && !386 && !s390x

package h2conn

import (
	"encoding/binary"
	"syscall"
	"unsafe"
)

// TCP returns what the system knows of the connection; false if it does not tell.
func (c *Conn) TCP() (TCPInfo, bool) {
	sys, ok := c.raw.(syscall.Conn)
	if !ok {
		return TCPInfo{}, false
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return TCPInfo{}, false
	}
	var info [tcpInfoSize]byte
	size := uint32(len(info))
	var errno syscall.Errno
	//nolint:gosec // the call writes to info, and no more than size says
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	})
	// Not every connection is TCP, and kernels before 4.6 tell less.
	if err != nil || errno != 0 || size < dataSegsOut+4 {
		return TCPInfo{}, false
	}
	return parseTCPInfo(info[:]), true
}

// Where fields of struct tcp_info begin, in linux/tcp.h.
const (
	unacked     = 24
	rtt         = 68 // in microseconds, as all times
	rttvar      = 72
	sndCwnd     = 80
	totalRetran = 100
	minRTT      = 148
	dataSegsOut = 156
	tcpInfoSize = 232
)

func parseTCPInfo(info []byte) TCPInfo {
	at := func(offset int) uint32 { return binary.NativeEndian.Uint32(info[offset:]) }
	return TCPInfo{
		RTT: micros(at(rtt)), RTTVariance: micros(at(rttvar)), MinRTT: micros(at(minRTT)),
		CongestionWindow: int(at(sndCwnd)), Unacknowledged: int(at(unacked)),
		PacketsSent: int64(at(dataSegsOut)), PacketsRetransmitted: int64(at(totalRetran)),
	}
}
