package h2conn

import "time"

// TCPInfo is what the system knows of a TCP connection. See inspect.TCP.
type TCPInfo struct {
	RTT, RTTVariance, MinRTT          time.Duration
	CongestionWindow, Unacknowledged  int
	PacketsSent, PacketsRetransmitted int64
}

func micros(n uint32) time.Duration { return time.Duration(n) * time.Microsecond }
