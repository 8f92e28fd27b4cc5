//go:build !linux || 386 || s390x

package h2conn

// TCP returns what the system knows of the connection: here it does not tell.
func (*Conn) TCP() (TCPInfo, bool) { return TCPInfo{}, false }
