package wire

import "encoding/binary"

// HTTP/2 frames, RFC 9113, sections 4.1 and 6.5.
const (
	headerSize           = 9
	settingSize          = 6
	settingsFrame        = 4
	ackFlag              = 1
	maxConcurrentStreams = 3
)

// frames follows the frames of a server, in whatever pieces they come. It keeps the
// part of a header or of one setting that has come so far, and nothing else.
type frames struct {
	part     [headerSize]byte
	have     int    // bytes in part
	left     uint32 // bytes of the present frame's payload still to come
	settings bool   // the present frame tells settings
}

// follow looks at the next bytes. ok says that they told how many streams may be
// open; of several limits the last one counts.
func (f *frames) follow(p []byte) (limit uint32, ok bool) {
	for len(p) > 0 {
		switch {
		case f.left == 0:
			p = f.fill(p, headerSize)
			if f.have == headerSize {
				f.begin()
			}
		case f.settings && f.left+uint32(f.have) >= settingSize:
			before := len(p)
			p = f.fill(p, settingSize)
			f.left -= uint32(before - len(p))
			if f.have == settingSize {
				f.have = 0
				if binary.BigEndian.Uint16(f.part[:]) == maxConcurrentStreams {
					limit, ok = binary.BigEndian.Uint32(f.part[2:]), true
				}
			}
		default: // of no interest
			n := min(uint32(len(p)), f.left)
			f.left -= n
			p = p[n:]
		}
	}
	return limit, ok
}

// fill moves bytes of p to part until that has size bytes, and returns the rest.
func (f *frames) fill(p []byte, size int) []byte {
	n := copy(f.part[f.have:size], p)
	f.have += n
	return p[n:]
}

// begin reads the header of a frame.
func (f *frames) begin() {
	h := f.part
	f.have = 0
	f.left = uint32(h[0])<<16 | uint32(h[1])<<8 | uint32(h[2])
	f.settings = h[3] == settingsFrame && h[4]&ackFlag == 0
}
